"""From pixels to metres: where people stand before the camera, at their true size."""
