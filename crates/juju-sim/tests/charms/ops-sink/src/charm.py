#!/usr/bin/env python3
"""Shows what it was given as its status."""

import ops


class Sink(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        for event in (self.on.start, self.on["take"].relation_changed, self.on.secret_changed):
            framework.observe(event, self._show)
        framework.observe(self.on["take"].relation_broken, self._gone)

    def _show(self, _):
        relation = self.model.get_relation("take")
        bag = relation.data[relation.app] if relation and relation.app else {}
        if "secret" not in bag:
            self.unit.status = ops.WaitingStatus("nothing given")
            return
        secret = self.model.get_secret(id=bag["secret"])
        content = secret.get_content(refresh=True)
        self.unit.status = ops.ActiveStatus(f"{bag['text']} {content['password']}")
        relation.data[self.unit]["seen"] = bag["text"]

    def _gone(self, _):
        self.unit.status = ops.WaitingStatus("nothing given")


if __name__ == "__main__":
    ops.main(Sink)
