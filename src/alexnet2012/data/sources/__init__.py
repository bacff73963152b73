"""Sources of images: readers that list the images of each kind of dataset."""
