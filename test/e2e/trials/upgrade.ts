/**
 * From the release before to this one under load, the operator first, then the members; then the members back and up again, and the
 * operator too. Members are left alone until their image is asked for, and no client notices anything.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { failedRepeats } from '../checks/writes.ts'
import { CLUSTER, OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import { run } from '../process.ts'
import { splitImage } from '../scenario/install.ts'
import { readBack } from '../cluster/ledger.ts'
import type { Place } from './place.ts'

interface Release {
  /** Of its sources. */
  readonly root: string
  readonly tag: string
}

const Pod = z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })) }) })
const OPERATOR_PODS = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods?labelSelector=${encodeURIComponent(
  `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=operator`,
)}`
const NEVER = { fromMs: Number.POSITIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY }

export async function upgrade(place: Place): Promise<void> {
  const { earlier, root, image } = place.options
  if (earlier === undefined) return place.note('left out: there is no earlier release to begin with')
  const [, tag] = splitImage(image)
  const present = { root, tag }
  await place.step('the release before is installed in place of this one', () => install(place, earlier))
  await place.form({ replicas: 3 })
  const formed = await place.podUids()
  await place.step('helm upgrade to this release: the members are left alone', async () => {
    await install(place, present)
    await unchanged(place, formed, earlier)
  })
  await place.step('an edit of resources after it: a rollout, with the image as it was', async () => {
    await place.patch({ spec: { resources: { requests: { cpu: '11m' } } } })
    await untilAllNew(place, formed)
    await imagesAre(place, earlier)
  })
  await place.step("this release's image is asked for: members of two releases work together while it rolls", () =>
    moveMembers(place, present),
  )
  await place.step('the members go back to the release before, by their image, and up again', async () => {
    for (const release of [earlier, present]) await moveMembers(place, release)
  })
  await place.step(
    'the operator goes back to the release before, and up again: the members are left alone',
    async () => {
      const upgraded = await place.podUids()
      for (const release of [earlier, present]) {
        await install(place, release)
        await unchanged(place, upgraded, present)
      }
      await place.untilReady()
    },
  )
  await place.step('no request failed where the client repeats on Unavailable, and nothing is lost', async () => {
    const puts = await place.stopWriting()
    place.holds(puts, await readBack(place.kube, place.namespace))
    const failed = failedRepeats(puts, NEVER)
    if (failed.length > 0)
      throw new Error(
        failed
          .map(({ key, sentMs, problem }) => `${key}, sent at ${new Date(sentMs).toISOString()}: ${problem}`)
          .join('\n'),
      )
  })
}

async function moveMembers(place: Place, release: Release): Promise<void> {
  const before = await place.podUids()
  await place.patch({ spec: { image: { tag: release.tag } } })
  await untilAllNew(place, before)
  await imagesAre(place, release)
}

/** In place of the operator that is there; resolves once that one is gone. */
async function install(place: Place, { root, tag }: Release): Promise<void> {
  const { kube, options } = place
  const [repository] = splitImage(options.image)
  const chart = join(root, 'charts', 'raftkv-operator')
  const values = ['--reset-values', '--set', `image.repository=${repository}`, '--set-string', `image.tag=${tag}`]
  const where = ['--namespace', OPERATOR_NAMESPACE, '--wait', '--timeout', '2m']
  await run(['helm', 'upgrade', RELEASE, chart, ...values, ...where], { env: kube.env })
  await place.until(`the operator ${tag} to be the only one`, async () => {
    const images = imagesIn(await kube.list(OPERATOR_PODS))
    return images.length === 1 && images[0]?.endsWith(`:${tag}`) === true ? true : undefined
  })
}

/** The operator has looked at the cluster once it has carried something out. The same request again would be none. */
async function unchanged(place: Place, before: ReadonlyMap<string, string>, release: Release): Promise<void> {
  const { leader, handledRequests } = (await place.cluster()).status
  const taken = [leader, handledRequests.moveLeader]
  const next = [0, 1, 2].map((ordinal) => `${CLUSTER}-${ordinal}`).find((name) => !taken.includes(name)) ?? ''
  await place.patch({ metadata: { annotations: { 'raftkv.dev/move-leader': next } } })
  await place.until(`${next} to lead`, async () => ((await place.cluster()).status.leader === next ? true : undefined))
  const now = await place.podUids()
  const renewed = [...before].filter(([name, uid]) => now.get(name) !== uid)
  if (renewed.length > 0) throw new Error(`${renewed.map(([name]) => name).join(', ')} made anew`)
  await imagesAre(place, release)
}

async function imagesAre(place: Place, { tag }: Release): Promise<void> {
  const images = [...new Set(imagesIn(await place.pods()))]
  if (images.length !== 1 || images[0]?.endsWith(`:${tag}`) !== true)
    throw new Error(`pods run ${images.join()} instead of ${tag}`)
}

function imagesIn(pods: readonly unknown[]): readonly string[] {
  return pods.flatMap((pod) => Pod.parse(pod).spec.containers.map(({ image }) => image))
}

async function untilAllNew(place: Place, before: ReadonlyMap<string, string>): Promise<void> {
  await place.until('every pod to be made anew', async () => {
    const now = await place.podUids()
    return now.size === before.size && [...now].every(([name, uid]) => before.get(name) !== uid) ? true : undefined
  })
  await place.untilReady()
  await place.untilCondition({ type: 'UpToDate', status: 'True' })
}
