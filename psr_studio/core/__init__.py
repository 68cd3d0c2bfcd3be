"""What every layer stands on: errors, progress, devices, files, pictures. Imports nothing else of ours."""
