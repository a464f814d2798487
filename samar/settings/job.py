"""What the settings of every job share: a name, and a title made from them."""

from typing import ClassVar

from pydantic import field_validator

from samar.errors import shown
from samar.settings.command import command_text
from samar.settings.declare import Settings, setting

MOST_CHARACTERS = 80


class JobSettings(Settings):
    """The settings of one job; each kind of job has one such class."""

    verb: ClassVar[str] = ""
    """The command that starts such a job, where that is not called like the kind."""

    name: str = setting("", "A name; left empty, one is made from the settings.", group="run")

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        name = " ".join(shown(name).split())
        if len(name) > MOST_CHARACTERS:
            raise ValueError(f"name has {len(name)} characters; use at most {MOST_CHARACTERS}.")
        return name

    @property
    def title(self) -> str:
        """The name, or a short description of the settings."""
        return self.name or self.described

    @property
    def described(self) -> str:
        """A short description of the settings."""
        return self.kind

    @property
    def command(self) -> str:
        """The command that repeats the job."""
        return command_text(self.verb or self.kind, self)
