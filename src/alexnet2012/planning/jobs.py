"""The workflow's jobs with their seconds, as the rules of workflow/rules connect them."""

from collections.abc import Callable
from pathlib import Path

from alexnet2012.planning.baselines import BaselineCosts, BaselineWork
from alexnet2012.planning.makespan import Job
from alexnet2012.planning.miniature import Overheads
from alexnet2012.planning.rates import Rates
from alexnet2012.planning.small_costs import SmallCosts
from alexnet2012.planning.work import PredictionWork, TrainingWork, Work, training_name

TRACK, TABLES, PUBLISH = "track", "tables", "publish"
SORTINGS = 4  # top-1 and top-5 errors of ten crops and of the centre


def list_jobs(
    work: Work,
    rates_of: Callable[[TrainingWork], Rates],
    overheads: Overheads,
    costs: SmallCosts,
    preparations_s: dict[str, float],
    baseline_costs: dict[str, BaselineCosts] | None = None,
    cores: int = 1,
) -> list[Job]:
    """Every job that is still to be done; `preparations_s` by dataset, without those that are packed, `baseline_costs`
    by the name of a baseline that is not done, which takes all `cores`."""
    rotated = {each.name: (f"prepare {each.config.of}",) for each in work.datasets if each.config.of is not None}
    jobs = [
        Job(f"prepare {name}", "prepare", seconds, rotated.get(name, ()), cores=None)
        for name, seconds in preparations_s.items()
    ]
    results = Path("results", work.plan.config.name)
    if not (results / "tracking.json").is_file() and not work.tables_done:
        jobs.append(Job(TRACK, "track", overheads.track_s))
    for training in work.trainings:
        if not training.done:
            jobs.append(train_job(training, rates_of(training), overheads))
    for each in work.predictions:
        if not each.done:
            jobs.append(predict_job(each, rates_of(each.training), overheads, costs))
    for each in work.averages:
        if not each.done:
            values = each.images * each.dataset.counts.classes
            seconds = overheads.average_s + values * (SORTINGS + 2 * len(each.members)) * costs.value_s
            jobs.append(Job(each.name, "average", seconds, (*each.members, TRACK)))
    for each in work.baselines:
        if not each.done:
            jobs += baseline_jobs(each, baseline_costs[each.name], overheads, cores)
    if not work.tables_done:
        evaluated = [*work.predictions, *work.averages]
        values = sum(each.images * each.dataset.counts.classes for each in evaluated)
        judged = [each.judging(split) for each in work.baselines for split in each.run.splits]
        needs = (*(each.name for each in (*work.trainings, *evaluated)), *judged)
        jobs.append(Job(TABLES, "tables", overheads.tables_s + SORTINGS * values * costs.value_s, needs))
        # With the tables on the screen, which come last.
        jobs.append(Job(PUBLISH, "publish", overheads.publish_s + overheads.show_s, (TABLES, TRACK)))
    listed = {job.name for job in jobs}
    return [
        Job(job.name, job.kind, job.seconds, tuple(need for need in job.needs if need in listed), job.cores, job.cards)
        for job in jobs
    ]


def baseline_jobs(each: BaselineWork, costs: BaselineCosts, overheads: Overheads, cores: int) -> list[Job]:
    """Codebooks on one core, codes on all, classifiers on as many as there are classes; then each split's codes."""
    prepared, images, found = f"prepare {each.run.dataset_name}", each.counts.images, []
    if not each.learnt:
        passes = each.run.net.linear.epochs * images["train"] * costs.fit_s / min(cores, each.counts.classes or 1)
        seconds = overheads.train_s + costs.codebook_s + images["train"] * costs.encode_s / cores + passes
        found.append(Job(each.name, "learn", seconds, (prepared, TRACK), cores=None))
    for split in (split for split in each.run.splits if split not in each.judged):
        seconds = overheads.predict_s + images[split] * costs.encode_s / cores
        found.append(Job(each.judging(split), "judge", seconds, (each.name, prepared, TRACK), cores=None))
    return found


def train_job(training: TrainingWork, rates: Rates, overheads: Overheads) -> Job:
    """Steps, then what each epoch measures and keeps; a resumed training has fewer of both."""
    epochs = training.steps_left / max(1, training.steps_per_epoch)
    epoch_s = rates.epoch_start_s + training.measured_per_epoch * rates.centre_s + rates.checkpoint_s
    epoch_s += overheads.epoch_s
    seconds = overheads.train_s + training.steps_left * rates.step_s + epochs * epoch_s
    start = training.run.starts_from
    first = () if start is None else (training_name(start.run),)
    needs = (f"prepare {training.run.dataset_name}", TRACK, *first)
    cards = training.run.runtime.gpus_per_training
    return Job(training.name, "train", seconds, needs, training.run.training_threads, cards)


def predict_job(each: PredictionWork, rates: Rates, overheads: Overheads, costs: SmallCosts) -> Job:
    sorting = SORTINGS * each.dataset.counts.classes * costs.value_s
    seconds = overheads.predict_s + each.images * (rates.ten_crop_s + sorting)
    needs = (each.training.name, f"prepare {each.dataset.name}", TRACK)
    return Job(each.name, "predict", seconds, needs, each.training.run.training.torch_threads, 1)
