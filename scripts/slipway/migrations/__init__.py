"""What the files of migrations say, and which of them may be reverted by itself. No I/O."""
