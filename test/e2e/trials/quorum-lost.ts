/** Two of three members and their volumes are lost for good, and one goes on alone as its user asks. */
import { readBack } from '../cluster/ledger.ts'
import { withEtcdctl } from '../cluster/etcdctl.ts'
import { CLIENT_SERVICE } from '../names.ts'
import { leaderPod } from '../scenario/context.ts'
import type { Place } from './place.ts'

export async function quorumLost(place: Place): Promise<void> {
  await place.form({ replicas: 3 })
  // What is written from here on, only those might have that are lost; the leader has all that was acknowledged.
  const puts = await place.stopWriting()
  const survivor = await leaderPod(place.kube, place.paths)
  const lost = (await place.pods()).map(({ metadata }) => metadata.name).filter((name) => name !== survivor)
  await place.step('two members and their volumes are lost: QuorumLost, and nothing is removed', async () => {
    await Promise.all(lost.map((pod) => place.lose(pod)))
    await place.untilCondition({ type: 'QuorumLost', status: 'True' })
    await place.untilEvent('QuorumLost')
    await place.untilCondition({ type: 'Available', status: 'False' })
    await place.untilCondition({ type: 'Degraded', status: 'True', message: new RegExp(`${survivor} has most`) })
  })
  await place.step('recovery is asked for: the survivor goes on, and two members are added again', async () => {
    const request = { id: 'first', survivor, acknowledgeDataLoss: true }
    await place.patch({ spec: { recovery: { request } } })
    await place.untilEvent('Recovered')
    await place.untilReady()
    await place.untilCondition({ type: 'QuorumLost', status: 'False' })
  })
  await place.step('every write that was acknowledged before is readable, and new ones are taken', async () => {
    place.holds(puts, await readBack(place.kube, place.namespace))
    const said = await withEtcdctl(place, `service/${CLIENT_SERVICE}`, (etcdctl) => etcdctl(['put', 'after', 'it']))
    if (!said.startsWith('OK')) throw new Error(`etcdctl put printed ${said}`)
  })
}
