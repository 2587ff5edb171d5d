"""The expectation of Great Expectations that a contract's rules are. Imports Great Expectations, which costs seconds."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.render.components import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer


class ContractRuleCounts(MetricProvider):
    """What a query of (rule, failing, example) finds."""

    metric_name = "contract.rule_counts"
    value_keys = ("query",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> list[tuple[str, int, str | None]]:
        # a colon would begin a parameter
        text = metric_value_kwargs["query"].replace(":", "\\:")
        return [tuple(row) for row in execution_engine.execute_query(sqlalchemy.text(text)).fetchall()]


class ExpectContractRulesToHold(BatchExpectation):
    """No row breaks any of a contract's rules: all of them, evaluated in one query.

    Attributes:
        query: of (rule, failing, example), one row per rule.
        rules: names of the rules, and what each says; as many must be answered.
    """

    query: str
    rules: dict[str, str]

    metric_dependencies: ClassVar[tuple[str, ...]] = ("contract.rule_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("query", "rules")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        counts = metrics["contract.rule_counts"]
        broken = [list(each) for each in counts if each[1]]
        # a rule that was not answered did not run
        missing = sorted(self.rules.keys() - {each[0] for each in counts})
        broken += [[rule, 1, "the rule did not run"] for rule in missing]
        wanted = self._get_result_format(runtime_configuration=runtime_configuration)
        kind = wanted["result_format"] if isinstance(wanted, dict) else wanted
        if kind == "BOOLEAN_ONLY":
            return {"success": not broken}
        return {
            "success": not broken,
            "result": {"observed_value": sum(each[1] for each in broken), "details": {"broken": broken}},
        }

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **kwargs: Any
    ) -> list[RenderedStringTemplateContent]:
        rules = (configuration or result.expectation_config).kwargs["rules"]
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template",
                string_template={"template": "$rule: $says", "params": {"rule": rule, "says": says}},
            )
            for rule, says in rules.items()
        ]
