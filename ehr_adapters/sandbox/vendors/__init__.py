"""One front per vendor, each as odd as that vendor is."""
