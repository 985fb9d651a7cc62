package e2e

// python is the system's own, with the system's own requests.
const python = "/usr/bin/python3"
