"""What trained nets are worth: crops, probabilities, errors, averages, statistics, analyses."""
