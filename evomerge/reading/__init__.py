"""Files of strangers, read with limits: what cannot be read is one sentence that names the file."""
