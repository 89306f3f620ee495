"""Normal variation: how much the training's periods differ, and what is usual on their days."""
