import type { Case } from '../../case.ts'
import { at, textAt } from '../../objects.ts'
import { claimView, CLAIM_0, CLAIM_1, CLAIM_2, isOwned, items, MERGE, Place, POD_0, POD_1, POD_2 } from './place.ts'

const isGone = (body: unknown): boolean => at(body, 'code') === 404

export const statefulSetCases: readonly Case[] = [
  {
    name: 'loops: a Parallel set makes its pods and claims at once, and counts those that are ready',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-parallel')
      await place.createSet({})
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.claimsAre(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.setIs({ replicas: 3, readyReplicas: 0 })
      await place.makeReady(POD_1, '10.0.0.1')
      await place.setIs({ replicas: 3, readyReplicas: 1 })
      for (const name of [POD_0, POD_2]) await place.makeReady(name, '10.0.0.2')
      await place.setIs({ replicas: 3, readyReplicas: 3, availableReplicas: 3 })
    },
  },
  {
    name: 'loops: an OrderedReady set waits for each pod',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-ordered')
      await place.createSet({ podManagementPolicy: 'OrderedReady' })
      await place.podsAre(POD_0)
      await place.setIs({ replicas: 1 })
      await place.makeReady(POD_0, '10.0.0.1')
      await place.podsAre(POD_0, POD_1)
      await place.setIs({ replicas: 2, readyReplicas: 1 })
    },
  },
  {
    name: 'loops: scaled down a set keeps its claims, scaled up again it takes them',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-scaled')
      await place.createSet({})
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.editSet({ replicas: 1 })
      await place.podsAre(POD_0)
      await place.claimsAre(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.setIs({ replicas: 1 })
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
    },
  },
  {
    name: 'loops: OnDelete leaves pods alone until they are deleted',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-on-delete')
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      for (const name of [POD_0, POD_1]) await place.makeReady(name, '10.0.0.1')
      await place.setIs({ readyReplicas: 2, updatedReplicas: 2 })
      await place.editSet({ template: { metadata: { annotations: { anew: 'yes' } } } })
      await place.setIs({ readyReplicas: 2, updatedReplicas: 0 })
      await place.podsAre(POD_0, POD_1)
      await place.delete(place.core('pods', POD_1))
      await place.setIs({ readyReplicas: 1, updatedReplicas: 1 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_1, '10.0.0.1')
      await place.delete(place.core('pods', POD_0))
      await place.setIs({ readyReplicas: 1, updatedReplicas: 2 })
      await place.makeReady(POD_0, '10.0.0.1')
      await place.setIs({ readyReplicas: 2, updatedReplicas: 2 })
    },
  },
  {
    name: 'loops: a claim in use goes with its pod, and the pod comes back with another one',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-replaced')
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_1, '10.0.0.1')
      const path = place.core('persistentvolumeclaims', CLAIM_1)
      const { body: before } = await calls.ask({ path })
      await calls.ask({ method: 'DELETE', path })
      await place.claimsAre(CLAIM_0, CLAIM_1)
      await place.delete(place.core('pods', POD_1))
      const isAnother = (body: unknown): boolean =>
        textAt(body, 'metadata', 'uid') !== '' && textAt(body, 'metadata', 'uid') !== textAt(before, 'metadata', 'uid')
      await calls.settled({ path }, isAnother, claimView)
      await place.podsAre(POD_0, POD_1)
    },
  },
  {
    name: 'loops: a set that retains no claims',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-retention')
      const policy = { whenDeleted: 'Delete', whenScaled: 'Delete' }
      await place.createSet({ persistentVolumeClaimRetentionPolicy: policy })
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.claimsAreOwned(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.claimsAre(CLAIM_0, CLAIM_1)
      await place.delete(place.set, { propagationPolicy: 'Background' })
      await place.podsAre()
      await place.claimsAre()
    },
  },
  {
    name: 'loops: a new set adopts the pods and revisions that an orphaning deletion left',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-adopted')
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      const { body: pod } = await calls.ask({ path: place.core('pods', POD_0) })
      await calls.ask({ method: 'DELETE', path: place.set, body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' } }) // prettier-ignore
      await calls.settled({ path: place.set }, isGone, isGone)
      await place.podsAre(POD_0, POD_1)
      await place.createSet({ replicas: 3 })
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.podsAreOwned(POD_0, POD_1, POD_2)
      await place.setIs({ replicas: 3, updatedReplicas: 3 })
      const isOld = (body: unknown): boolean => textAt(body, 'metadata', 'uid') === textAt(pod, 'metadata', 'uid')
      await calls.settled({ path: place.core('pods', POD_0) }, isOld, isOld)
      const isOneOwned = (body: unknown): boolean => items(body).length === 1 && items(body).every(isOwned)
      await calls.settled({ path: place.group('apps/v1', 'controllerrevisions') }, isOneOwned, (body) =>
        items(body).map((each) => ({
          revision: at(each, 'revision'),
          owners: at(each, 'metadata', 'ownerReferences'),
        })),
      )
    },
  },
  {
    name: 'loops: a pod that its set no longer selects is let go, and another takes its place',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-released')
      await place.createSet({ replicas: 1 })
      await place.podsAre(POD_0)
      const path = place.core('pods', POD_0)
      await calls.ask({ method: 'PATCH', path, body: { metadata: { labels: { app: 'other' } } }, contentType: MERGE })
      const isFree = (body: unknown): boolean => at(body, 'metadata', 'ownerReferences') === undefined
      await calls.settled({ path }, isFree, (body) => at(body, 'metadata', 'labels', 'app'))
      await place.setIs({ replicas: 0 })
    },
  },
]
