"""Mode connectivity: paths of low loss between two trained networks of one architecture."""
