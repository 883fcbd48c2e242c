"""The receiving side (SCP): connections, associations, worker processes, C-STORE."""
