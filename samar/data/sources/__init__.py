"""Where images come from: files of CIFAR, of folders, of scikit-learn, and the network."""
