"""Answering for a decision: trace, replay, what-if, counterfactual, letter, contest, audit."""
