/** Images of members: one that is not there, and back; a newer one; a newer operator in between. */
import { join } from 'node:path'
import { z } from 'zod'
import { CLUSTER, OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import { run } from '../process.ts'
import type { Place } from './place.ts'

const Pod = z.object({
  metadata: z.object({ name: z.string(), uid: z.string() }),
  spec: z.object({ containers: z.array(z.object({ image: z.string() })) }),
})

export async function badImage(place: Place): Promise<void> {
  await place.form({ replicas: 3 })
  await place.step(
    'an image that is not there: one pod is lost to it, Degraded has the words, the others serve',
    async () => {
      const before = await place.podUids()
      await place.patch({ spec: { image: { tag: 'not-there' } } })
      const words = await place.untilCondition({ type: 'Degraded', status: 'True', reason: 'ImagePullFailed' })
      await place.untilEvent('Degraded', /not-there/)
      if (!words.includes('not-there')) throw new Error(`Degraded does not name the image: ${words}`)
      await place.untilCondition({ type: 'Available', status: 'True' })
      await place.untilCondition({ type: 'UpToDate', status: 'False' })
      const kept = [...(await place.podUids())].filter(([name, uid]) => before.get(name) === uid)
      if (kept.length !== 2) throw new Error(`${kept.length} of three pods were left alone`)
    },
  )
  await place.step('the edit is taken back: the cluster heals without a hand', async () => {
    await place.patch({ spec: { image: { tag: null } } })
    await place.untilReady()
    await place.untilCondition({ type: 'UpToDate', status: 'True' })
    await place.untilCondition({ type: 'Degraded', status: 'False' })
  })
  await place.ledgerHolds()
}

/** `next`: the operator's next image, as a tag of the same repository. */
export async function operatorUpgrade(place: Place, next: string): Promise<void> {
  await place.form({ replicas: 3 })
  const [before] = await imagesOf(place)
  const uids = await place.podUids()
  await place.step('helm upgrade to the next image: the members are left alone', async () => {
    const chart = join(place.options.root, 'charts', 'raftkv-operator')
    const where = ['--namespace', OPERATOR_NAMESPACE, '--wait', '--timeout', '2m']
    await run(['helm', 'upgrade', RELEASE, chart, '--reuse-values', '--set-string', `image.tag=${next}`, ...where], {
      env: place.kube.env,
    })
    // The new operator has looked at the cluster once it has carried something out.
    const metadata = { annotations: { 'raftkv.dev/move-leader': await follower(place) } }
    await place.patch({ metadata })
    await place.untilEvent('LeaderMoved')
    const now = await place.podUids()
    const renewed = [...uids].filter(([name, uid]) => now.get(name) !== uid)
    if (renewed.length > 0) throw new Error(`${renewed.map(([name]) => name).join(', ')} made anew`)
  })
  await place.step('an edit of resources after it: a rollout, with the image as it was', async () => {
    await place.patch({ spec: { resources: { requests: { cpu: '11m' } } } })
    await untilAllNew(place, uids)
    const images = await imagesOf(place)
    if (images.join() !== before) throw new Error(`the image was ${before}, and now ${images.join()}`)
  })
  await place.step('the next image is asked for: a rollout, the leader last', async () => {
    const earlier = await place.podUids()
    await place.patch({ spec: { image: { tag: next } } })
    await untilAllNew(place, earlier)
    const images = await imagesOf(place)
    if (images.length !== 1 || images[0]?.endsWith(`:${next}`) !== true) throw new Error(`pods run ${images.join()}`)
  })
  await place.ledgerHolds()
}

/** The images that pods are of. */
async function imagesOf(place: Place): Promise<readonly string[]> {
  const pods = (await place.pods()).map((pod) => Pod.parse(pod))
  return [...new Set(pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image)))]
}

async function follower(place: Place): Promise<string> {
  const { leader } = (await place.cluster()).status
  return [`${CLUSTER}-0`, `${CLUSTER}-1`].find((name) => name !== leader) ?? ''
}

async function untilAllNew(place: Place, before: ReadonlyMap<string, string>): Promise<void> {
  await place.until('every pod to be made anew', async () => {
    const now = await place.podUids()
    return now.size === before.size && [...now].every(([name, uid]) => before.get(name) !== uid) ? true : undefined
  })
  await place.untilReady()
  await place.untilCondition({ type: 'UpToDate', status: 'True' })
}
