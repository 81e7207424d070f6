"""Pages set by libraqm, as Pillow draws them where it finds libfribidi."""
