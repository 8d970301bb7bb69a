/** The pod that joins is lost, volume and all, at each step of 1 → 3. */
import { lacks } from '../cluster/raft-cluster.ts'
import { CLUSTER } from '../names.ts'
import type { Place } from './place.ts'

/** As `status.operation.step` has them; the first is before there is an operation. */
const STEPS = ['', 'AddLearner', 'Join', 'CatchUp', 'Promote'] as const
type Step = (typeof STEPS)[number]
const [FIRST, JOINING] = [`${CLUSTER}-0`, `${CLUSTER}-1`]

export async function lostLearner(place: Place): Promise<void> {
  await place.form({ replicas: 1 })
  for (const step of STEPS) {
    const when = step === '' ? 'before it is added' : `at step ${step}`
    await place.step(`from 1 to 3, and ${JOINING} is lost with its volume ${when}`, async () => {
      await place.scale(3)
      const met = await reach(place, step)
      if (met === undefined) return place.note('it voted before that could be seen: not lost')
      await place.lose(JOINING)
      if (met !== step) place.note(`that step was over before it could be seen: lost at ${met}`)
      await recoverIfItVoted(place, `lost-${step}`)
      await place.untilReady()
      await place.untilCondition({ type: 'Degraded', status: 'False' })
    })
    await place.step('from 3 to 1', async () => {
      await place.scale(1)
      await place.untilReady()
    })
  }
  await place.ledgerHolds()
}

/** The step that it is at, or a later one; undefined: it votes. */
async function reach(place: Place, wanted: Step): Promise<string | undefined> {
  const { met } = await place.until(
    `${JOINING} at ${wanted}`,
    async () => {
      const { operation, voters } = (await place.cluster()).status
      if (voters > 1) return { met: undefined }
      const step = operation?.ordinal === 1 ? operation.step : ''
      const isThere = (await place.podUids()).has(JOINING)
      return isThere && indexOf(step) >= indexOf(wanted) ? { met: step } : undefined
    },
    { everyMs: 10 },
  )
  return met
}

const indexOf = (step: string): number => STEPS.findIndex((each) => each === step)

/** Of two voters both are a majority: lost in the moment in which it began to vote, it takes the quorum along. */
async function recoverIfItVoted(place: Place, id: string): Promise<void> {
  const isLost = await place.until('Ready, or QuorumLost', async () => {
    const cluster = await place.cluster()
    if (cluster.status.conditions.some(({ type, status }) => type === 'QuorumLost' && status === 'True')) return true
    return lacks(cluster) === '' ? false : undefined
  })
  if (!isLost) return
  place.note(`it voted already when it was lost: ${FIRST} goes on alone, as is asked for`)
  await place.patch({ spec: { recovery: { request: { id, survivor: FIRST, acknowledgeDataLoss: true } } } })
}
