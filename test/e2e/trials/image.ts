/** An image that is not there, and back. */
import type { Place } from './place.ts'

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
