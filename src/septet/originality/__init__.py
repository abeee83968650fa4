"""Whether what was drawn is new, or stands closer to a training item than data that were never trained on do."""
