import type { Calls, Case } from '../../case.ts'
import { at, type Fields } from '../../objects.ts'
import { Place, POD_0, POD_1, POD_2, SET } from './place.ts'

const budget = (spec: Fields): Fields => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: SET },
  spec: { selector: { matchLabels: { app: SET } }, ...spec },
})

const eviction = (name: string): Fields => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })

/** Ready pods of a set under a budget. */
async function guarded(calls: Calls, name: string, spec: Fields): Promise<{ place: Place; path: string }> {
  const place = await Place.make(calls, name)
  await place.createSet({})
  await place.podsAre(POD_0, POD_1, POD_2)
  for (const each of [POD_0, POD_1, POD_2]) await place.makeReady(each, '10.0.0.1')
  await calls.ask({ method: 'POST', path: place.group('policy/v1', 'poddisruptionbudgets'), body: budget(spec) })
  return { place, path: place.group('policy/v1', 'poddisruptionbudgets', SET) }
}

const isCounted =
  (expectedPods: number, currentHealthy: number, disruptionsAllowed: number) =>
  (body: unknown): boolean =>
    Object.entries({ expectedPods, currentHealthy, disruptionsAllowed }).every(
      ([name, count]) => at(body, 'status', name) === count,
    )
const budgetStatus = (body: unknown): unknown => ({ ...(at(body, 'status') as Fields), disruptedPods: undefined })

export const budgetCases: readonly Case[] = [
  {
    name: 'loops: a budget lets one of three go, and then none',
    run: async (calls) => {
      const { place, path } = await guarded(calls, 'loops-budget', { minAvailable: 2 })
      await calls.settled({ path }, isCounted(3, 3, 1), budgetStatus)
      await calls.send({ method: 'POST', path: `${place.core('pods', POD_0)}/eviction`, body: eviction(POD_0) })
      await calls.settled({ path }, (body) => at(body, 'status', 'disruptionsAllowed') === 0, () => undefined) // prettier-ignore
      await calls.send({ method: 'POST', path: `${place.core('pods', POD_1)}/eviction`, body: eviction(POD_1) })
    },
  },
  {
    name: 'loops: a budget counts the pods that are ready',
    run: async (calls) => {
      const { place, path } = await guarded(calls, 'loops-ready', { maxUnavailable: '50%' })
      await calls.settled({ path }, isCounted(3, 3, 2), budgetStatus)
      await place.delete(place.core('pods', POD_2))
      await calls.settled({ path }, isCounted(3, 2, 1), budgetStatus)
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      // The real controller may have counted while it still saw the set at three, and counts again when a pod changes.
      await place.touch(POD_0)
      await calls.settled({ path }, isCounted(2, 2, 1), budgetStatus)
    },
  },
]
