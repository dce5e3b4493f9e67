"""What brings a cluster back whose metadata was lost: backups, restoring them, the rebuild from the workers' disks."""
