"""What a configuration will cost, before it is paid: work, disk, and time."""
