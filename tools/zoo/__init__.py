"""The model zoo: what the papers report and what our runs gave, task by task; see docs/model_zoo.md."""
