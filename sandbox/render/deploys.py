"""What can be asked about deploys, and what Render answers: the rules, no processes."""

from __future__ import annotations

from dataclasses import replace

from sandbox.render import registry
from sandbox.render.fleet import World
from sandbox.render.model import Deploy, Service, Source, Status
from sandbox.render.registry import NoBuild
from sandbox.render.runner import Runner
from sandbox.render.settings import OverlapPolicy, Settings


class Refusal(Exception):
    """Render refuses: an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def choose_source(
    runner: Runner, world: World, *, commit: str | None, image: str | None
) -> Source:
    """Return what a new deploy deploys. Raises :class:`Refusal` for what Render answers 400."""
    service = runner.service
    if service.runtime == "image":
        return _image_source(runner, world, commit=commit, image=image)
    if image is not None:
        raise Refusal(400, "imageUrl can only be used with image-backed services")
    try:
        return await registry.commit_source(service.repo or "", commit or service.branch)
    except NoBuild:
        if commit is None:
            raise Refusal(400, f"branch {service.branch} does not exist") from None
        # Accepted; it is the build that does not find it.
        return Source(commit=commit)


def _image_source(runner: Runner, world: World, *, commit: str | None, image: str | None) -> Source:
    configured = runner.service.image or ""
    if commit is not None:
        raise Refusal(400, "commitId cannot be used with image-backed services")
    try:
        wanted = registry.split(image or configured)[0]
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if wanted != registry.split(configured)[0]:
        raise Refusal(
            400,
            "The host, repository, and image name of imageUrl must match the currently "
            f"configured image {configured}",
        )
    return world.registry.resolve(image or configured)


def begin(runner: Runner, deploy: Deploy, policy: OverlapPolicy) -> bool:
    """Take a deploy on. Return ``True`` when it starts at once, ``False`` when it is queued.

    Render runs one deploy of a service at a time. Under ``wait`` the newest waits and those that
    waited before it are skipped; under ``override`` the running one is cancelled.
    """
    service = runner.service
    if service.suspended:
        raise Refusal(409, f"service {service.name} is suspended")
    for waiting in service.queued:
        runner.skip(waiting)
    running = service.running
    if running is not None and policy == "override":
        runner.abandon(running)
        running = None
    if running is not None:
        deploy.status = Status.QUEUED
    service.deploys.append(deploy)
    runner.wake()
    return running is None


def again(runner: Runner, *, trigger: str) -> Deploy:
    """Return a deploy of the build that is live, with the service's configuration of now."""
    live = runner.service.live
    return Deploy(
        source=live.source, trigger=trigger, env=dict(runner.service.env), build=live.build
    )


def roll_back(runner: Runner, target_id: str, settings: Settings) -> Deploy:
    """Begin a new deploy of an earlier deploy's artefact, environment and instance count.

    Raises :class:`Refusal`: 404 for an unknown deploy, 400 for one that was never live, and what
    the settings say for one whose artefact is no longer kept.
    """
    service = runner.service
    target = service.find(target_id)
    if target is None:
        raise Refusal(404, f"not found: {target_id}")
    if target.status not in {Status.LIVE, Status.DEACTIVATED}:
        raise Refusal(400, f"deploy {target_id} was never live")
    if _expired(service, target, settings.artifacts_kept):
        raise Refusal(settings.artifact_gone, f"the build of {target_id} is no longer available")
    deploy = Deploy(
        source=replace(target.source),
        trigger="rollback",
        env=dict(target.env),
        instances=target.scaled_to or service.wanted(target),
        target=target.id,
        build=target.build,
    )
    begin(runner, deploy, settings.overlap_policy)
    return deploy


def _expired(service: Service, target: Deploy, kept: int | None) -> bool:
    """Whether the artefact is gone. An image is not kept by Render: it is pulled again."""
    if kept is None or service.runtime == "image":
        return False
    builds = [each.source.commit for each in reversed(service.deploys) if each.build]
    return target.source.commit not in list(dict.fromkeys(builds))[:kept]


def cancel(runner: Runner, deploy_id: str) -> Deploy:
    """Cancel a deploy that has not ended. Raises :class:`Refusal` (404, 400)."""
    deploy = runner.service.find(deploy_id)
    if deploy is None:
        raise Refusal(404, f"not found: {deploy_id}")
    if deploy.running:
        runner.abandon(deploy)
    elif deploy.status is Status.QUEUED:
        runner.skip(deploy)
    else:
        raise Refusal(400, f"deploy {deploy_id} is {deploy.status} and cannot be canceled")
    return deploy
