/** A drain, volumes that grow, and volumes that go with their cluster. */
import { z } from 'zod'
import { CLUSTER } from '../names.ts'
import type { Place } from './place.ts'

const [SIZE, LARGER] = ['1Gi', '2Gi']

const Claim = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    volumeName: z.string().default(''),
    resources: z.object({ requests: z.object({ storage: z.string() }) }),
  }),
})
type Claim = z.output<typeof Claim>

export async function drainGrowDelete(place: Place): Promise<void> {
  await place.form({ replicas: 3, storage: { size: SIZE, retention: { whenDeleted: 'Delete' } } })
  await place.step('drain: every pod is evicted, and never two at a time', () => drain(place))
  await place.step(`the volumes grow from ${SIZE} to ${LARGER}`, () => grow(place))
  await place.ledgerHolds()
  await place.step('the RaftCluster is deleted, and its volumes go with it (whenDeleted: Delete)', async () => {
    const volumes = (await claimsOf(place)).map(({ spec }) => spec.volumeName)
    await place.kubectl('delete', `raftcluster/${CLUSTER}`, '--timeout=90s')
    // They are their owner's: Kubernetes collects them once it is gone.
    await place.until('the claims to go', async () => ((await claimsOf(place)).length > 0 ? undefined : true))
    await place.until('the volumes behind the claims to go', async () => {
      const there = (await place.kube.list('/api/v1/persistentvolumes')).map(({ metadata }) => metadata.name)
      return volumes.some((name) => there.includes(name)) ? undefined : true
    })
  })
}

/** As `kubectl drain` does on three nodes at once: asks for each again until it is granted. */
async function drain(place: Place): Promise<void> {
  const before = await place.podUids()
  let refused = 0
  const evict = async (name: string, uid: string): Promise<void> => {
    await place.until(`${name} to be evicted and recreated`, async () => {
      if ((await place.podUids()).get(name) === uid) {
        const { status, text } = await place.kube.send('POST', `${place.paths.pod(name)}/eviction`, {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name, namespace: place.namespace },
          deleteOptions: { preconditions: { uid } },
        })
        if (status === 429) refused++
        else if (status >= 300 && status !== 404 && status !== 409)
          throw new Error(`eviction answers ${status}: ${text}`)
      }
      const now = (await place.podUids()).get(name)
      return now !== undefined && now !== uid ? true : undefined
    })
  }
  await Promise.all([...before].map(([name, uid]) => evict(name, uid)))
  await place.untilReady()
  if (refused === 0) throw new Error('the disruption budget never refused: all three were evicted at once')
  place.note(`${refused} evictions were refused for the time being`)
}

async function grow(place: Place): Promise<void> {
  await place.patch({ spec: { storage: { size: LARGER } } })
  const claims = await place.until(`every claim to ask for ${LARGER}`, async () => {
    const found = await claimsOf(place)
    return found.every(({ spec }) => spec.resources.requests.storage === LARGER) ? found : undefined
  })
  await place.untilCondition({ type: 'StorageReady', status: 'False', message: new RegExp(LARGER) })
  // The box's provisioner has nobody beside it that resizes.
  if (place.options.isBox) await Promise.all(claims.map((claim) => resize(place, claim)))
  await place.untilCondition({ type: 'StorageReady', status: 'True' })
  await place.untilReady()
}

async function resize(place: Place, { metadata, spec }: Claim): Promise<void> {
  const capacity = { storage: LARGER }
  const merge = (what: readonly string[], patch: object): Promise<string> =>
    place.kubectl('patch', ...what, '--type=merge', '-p', JSON.stringify(patch))
  await merge(['pv', spec.volumeName], { spec: { capacity } })
  await merge(['pvc', metadata.name, '--subresource=status'], { status: { capacity } })
}

async function claimsOf(place: Place): Promise<readonly Claim[]> {
  return (await place.kube.list(place.paths.volumes)).map((claim) => Claim.parse(claim))
}
