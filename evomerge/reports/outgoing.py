"""A recipe on its way out: as other machines would name its sources, and with its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.answering import architecture_of, continues_text
from evomerge.models.blueprint import donor, outline
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.parent_cards import parent_cards
from evomerge.models.portable import portable
from evomerge.operators import signatures
from evomerge.recipe.digest import digest
from evomerge.recipe.same import same_as
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import parse_recipe
from evomerge.reports.card import card
from evomerge.study.comparison import Comparison
from evomerge.study.earlier import public_sets
from evomerge.study.record import Study
from evomerge.study.remarks import comment_on_test_sets

__all__ = ["Outgoing"]


@dataclass(frozen=True)
class Outgoing:
    """A recipe, and what a reader elsewhere is told of it."""

    recipe: Recipe
    """With the paths of this machine: it is what is merged."""
    named: Recipe
    """The same with names that mean something elsewhere: it is what is written."""
    models: Mapping[str, Recipe]
    """The models that it may be a copy of, by name."""
    job: Mapping[str, Any] | None = None
    """The resolved job of the search that found it, if one did."""
    test_sets: tuple[str, ...] = ()
    """What of that search's data was a benchmark's own test set."""

    @classmethod
    def of_recipe(
        cls, recipe: Recipe, *, local_paths: bool, test_sets: tuple[str, ...] = ()
    ) -> Outgoing:
        """A recipe of a file, or of nobody knows where; `local_paths` keeps its paths."""
        named = recipe if local_paths else portable(recipe)
        models: dict[str, Recipe] = {}
        for name, source in _leaves(recipe):
            models.setdefault(name, source)
        return cls(recipe, named, models, test_sets=test_sets)

    @classmethod
    def of_study(cls, recipe: Recipe, study: Study, *, local_paths: bool) -> Outgoing:
        """A recipe that a study has, whose sources it knows by their fingerprints."""
        sources = {
            name: parse_recipe(written, origin=f"{study.path}: job", folder=study.path)
            for name, written in (study.job.get("sources") or {}).items()
        }
        prints = study.get("sources") or {}
        known = {
            source: prints[name]
            for name, source in sources.items()
            if name in prints and isinstance(source, Source)
        }
        named = recipe if local_paths else portable(recipe, known)
        return cls(recipe, named, sources, study.job, public_sets(study))

    @property
    def names(self) -> Mapping[Source, Source]:
        """Source as it is called here -> the same one as it is called elsewhere."""
        return dict(zip(sources_of(self.recipe), sources_of(self.named), strict=True))

    def card(
        self,
        title: str,
        comparison: Comparison | None = None,
        *,
        adapter_on: Source | None = None,
        folded: bool = False,
        keeps_code: bool = False,
    ) -> str:
        """The model card.

        Args:
            comparison: the holdout scores, if this recipe has any.
            adapter_on: the base model by its name here, where the folder holds an adapter on it.
            folded: whether the folder holds a stack's layers once each, and code for the path.
            keeps_code: whether it holds Python files of a parent.
        """
        names = self.names
        inventory = self._inventory()
        config = inventory.config if inventory else {}
        recorded = digest(self.recipe) if self.job and self.named != self.recipe else None
        return card(
            title=title,
            recipe=self.named,
            job=self.job,
            comparison=comparison,
            parents=parent_cards(names),
            copy_of=self._copy_of(),
            recorded=recorded,
            adapter_on=adapter_on and names[adapter_on],
            folded=folded,
            chats=bool(inventory and inventory.chat_template is not None),
            architecture=None if continues_text(config) else architecture_of(config),
            keeps_code=keeps_code,
            library="diffusers" if inventory and inventory.of_diffusers else "transformers",
            test_sets=self.test_sets,
        )

    @property
    def remark(self) -> str:
        """Comment lines for the head of a YAML file; "" where there is nothing to say."""
        return comment_on_test_sets(self.test_sets)

    def _copy_of(self) -> str | None:
        models = Headers()

        def layers(model: Recipe) -> int:
            return outline(model, models).layers

        return same_as(self.recipe, self.models, signatures(), layers)

    def _inventory(self) -> Inventory | None:
        """What the donor's folder holds; None where it is gone."""
        try:
            return Headers().inventory(donor(self.recipe))
        except SourceError:
            return None


def _leaves(recipe: Recipe, name: str = "") -> Iterator[tuple[str, Source]]:
    """The sources of a recipe, by the names of its inputs."""
    if isinstance(recipe, Source):
        yield name or recipe.model.rstrip("/").rpartition("/")[2], recipe
        return
    for own, child in recipe.inputs.items():
        yield from _leaves(child, own)
