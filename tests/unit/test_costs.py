"""Energy from counters in a fake folder and a fake driver, and the time to a training error."""

import math

import pandas as pd
import pynvml
import pytest

from alexnet2012 import costs
from alexnet2012.costs import HISTORY_COLUMNS, EnergyMeter, read_history, time_to_target
from alexnet2012.errors import RecordError

RANGE_UJ = 262_143_328_850


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Two packages, and zones that are parts of them or hold them; no GPU."""
    folder = tmp_path / "powercap"
    for zone, name in {"0": "package-0", "0:0": "core", "1": "package-1", "2": "psys"}.items():
        (folder / f"intel-rapl:{zone}").mkdir(parents=True)
        (folder / f"intel-rapl:{zone}/name").write_text(f"{name}\n")
        (folder / f"intel-rapl:{zone}/energy_uj").write_text("1000000000\n")
        (folder / f"intel-rapl:{zone}/max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    monkeypatch.setattr(costs, "POWERCAP", folder)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


@pytest.fixture
def driver(monkeypatch):
    """NVIDIA's driver with the cards "0" and "GPU-b", of which the second has no counter at first."""
    millijoules = {"0": 5_000}

    def read(card: str) -> int:
        if card not in millijoules:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return millijoules[card]

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda number: f"{number:d}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", {"GPU-b": "GPU-b"}.__getitem__)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", read)
    return millijoules


def use(powercap, zone: str, counter_uj: int) -> None:
    (powercap / f"intel-rapl:{zone}/energy_uj").write_text(f"{counter_uj}\n")


def test_the_energy_of_all_packages_is_added_also_where_a_counter_begins_again(powercap, tmp_path):
    meter = EnergyMeter(tmp_path / "energy.json", resumed=False)
    use(powercap, "0", 1_000_000_000 + 3_600_000_000)
    use(powercap, "2", 9_000_000_000)
    meter.read()
    assert meter.kwh == {"cpu_kwh": pytest.approx(0.001)}
    use(powercap, "1", 0)
    meter.read()
    assert meter.kwh["cpu_kwh"] == pytest.approx(0.001 + (RANGE_UJ - 1e9) / 3.6e12)


def test_a_resumed_training_adds_to_what_it_had_used(powercap, tmp_path):
    EnergyMeter(tmp_path / "energy.json", resumed=False).read()
    (tmp_path / "energy.json").write_text('{"cpu_kwh": 2.0}')
    meter = EnergyMeter(tmp_path / "energy.json", resumed=True)
    use(powercap, "0", 1_000_000_000 + 3_600_000_000)
    meter.read()
    assert meter.kwh["cpu_kwh"] == pytest.approx(2.001)


@pytest.mark.parametrize("missing", ["energy_uj", "max_energy_range_uj"])
def test_a_counter_that_cannot_be_read_is_no_energy(powercap, tmp_path, missing):
    (powercap / "intel-rapl:1" / missing).unlink()
    meter = EnergyMeter(tmp_path / "energy.json", resumed=False)
    meter.read()
    assert meter.kwh == {} and not (tmp_path / "energy.json").exists()


def test_what_was_not_measured_throughout_is_absent(powercap, tmp_path):
    assert EnergyMeter(tmp_path / "none.json", resumed=True).kwh == {}
    meter = EnergyMeter(tmp_path / "energy.json", resumed=False)
    (powercap / "intel-rapl:1/energy_uj").unlink()
    meter.read()
    use(powercap, "1", 1)
    assert meter.kwh == EnergyMeter(tmp_path / "energy.json", resumed=True).kwh == {}


def test_counters_are_read_once_a_minute(powercap, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(costs.time, "monotonic", lambda: now[0])
    meter = EnergyMeter(tmp_path / "energy.json", resumed=False)
    use(powercap, "0", 2_000_000_000)
    for now[0] in (1.0, 59.0):
        meter.step()
        assert meter.kwh == {"cpu_kwh": 0.0}
    now[0] = 60.0
    meter.step()
    assert meter.kwh["cpu_kwh"] > 0


def test_the_energy_of_the_leased_gpus_is_added(powercap, driver, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-b")
    assert "gpu_kwh" not in EnergyMeter(tmp_path / "energy.json", resumed=False).kwh
    driver["GPU-b"] = 100
    meter = EnergyMeter(tmp_path / "energy.json", resumed=False)
    driver.update({"0": 5_000 + 3_600_000, "GPU-b": 100 + 3_600_000})
    meter.read()
    assert meter.kwh["gpu_kwh"] == pytest.approx(0.002)
    driver["GPU-b"] = 7  # the driver was loaded anew
    meter.read()
    assert "gpu_kwh" not in meter.kwh


def test_a_machine_without_the_driver_has_no_energy_of_gpus(powercap, monkeypatch):
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert costs.read_cards() == {}


def test_the_time_to_an_error_comes_from_the_history_or_from_a_target():
    history = [{"train_top1_error": error, "images_per_second": 10.0} for error in (0.5, 0.35, 0.15, 0.3)]
    found = time_to_target({"train_images": 100}, history)
    assert found == {"train_error": 0.25, "epochs": pytest.approx(2.5), "seconds": pytest.approx(25.0)}
    assert time_to_target({"train_images": 100}, history[:2])["epochs"] is None
    assert time_to_target({}, [{"train_loss": math.nan}])["seconds"] is None
    target = {"train_error": 0.1, "epochs": None, "seconds": None}
    assert time_to_target({"target": target}, history) == target


@pytest.mark.parametrize("column", HISTORY_COLUMNS)
def test_a_history_without_a_column_that_is_read_is_named(tmp_path, column):
    pd.DataFrame(dict.fromkeys({*HISTORY_COLUMNS} - {column}, [1.0])).to_parquet(tmp_path / "history.parquet")
    with pytest.raises(RecordError, match=f"history.parquet has no column {column}; train this net anew"):
        read_history(tmp_path / "history.parquet")
