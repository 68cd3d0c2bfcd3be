"""Who may ask the server for what: addresses, hosts, login, uploads; every refusal in two sentences."""
