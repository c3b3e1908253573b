"""What resolvers may use."""

from governance.usecases import ReadGovernance


class Context:
    """Per request: what resolvers may use."""

    def __init__(self, read: ReadGovernance) -> None:
        self.read = read
