"""`python -I -m jvpn`: the command line, without looking for modules in the working folder."""

from jvpn.cli.main import run

if __name__ == "__main__":
    run()
