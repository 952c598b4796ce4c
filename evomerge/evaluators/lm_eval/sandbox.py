"""Templates of task files run in jinja2's sandbox: they see a document, and nothing of Python."""

from __future__ import annotations

from jinja2.sandbox import SandboxedEnvironment
from lm_eval import utils

__all__ = ["sandbox_templates"]


def sandbox_templates() -> None:
    """From now on lm-eval renders in a sandbox, with the settings and filters that it has anyway.

    lm-eval takes no environment from its callers: it has one, in a variable of its module, which
    every template goes through. All of lm-eval's own templates render alike in the sandbox.
    """
    if isinstance(utils.env, SandboxedEnvironment):
        return
    made = SandboxedEnvironment(
        loader=utils.env.loader,
        undefined=utils.env.undefined,
        keep_trailing_newline=utils.env.keep_trailing_newline,
    )
    made.filters.update(utils.env.filters)
    utils.env = made
