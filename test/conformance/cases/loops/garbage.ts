/** What goes with its owner, and the end of a namespace. */
import type { Calls, Case } from '../../case.ts'
import { at, configMap, raftCluster, type Fields } from '../../objects.ts'
import { MERGE, Place, POD_0 } from './place.ts'

const JSON_PATCH = 'application/json-patch+json'

const isGone = (body: unknown): boolean => at(body, 'code') === 404
const whole = (body: unknown): unknown => body
const metadataOf = (body: unknown): unknown => at(body, 'metadata')

function dependent(name: string, owners: readonly unknown[]): Fields {
  return configMap(name, {}, { ownerReferences: owners })
}

const reference = (body: unknown, more: Fields = {}): Fields => ({
  apiVersion: at(body, 'apiVersion'),
  kind: at(body, 'kind'),
  name: at(body, 'metadata', 'name'),
  uid: at(body, 'metadata', 'uid'),
  ...more,
})

/** A RaftCluster that owns a ConfigMap. */
async function owned(calls: Calls, place: Place): Promise<{ readonly owner: string; readonly child: string }> {
  const clusters = place.group('raftkv.dev/v1alpha1', 'raftclusters')
  const { body } = await calls.ask({ method: 'POST', path: clusters, body: raftCluster('owner') })
  const owners = [reference(body, { controller: true, blockOwnerDeletion: true })]
  await calls.ask({ method: 'POST', path: place.core('configmaps'), body: dependent('child', owners) })
  return { owner: `${clusters}/owner`, child: place.core('configmaps', 'child') }
}

export const garbageCases: readonly Case[] = [
  {
    name: 'loops: what an owner had goes after it, in the background',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-background'))
      await calls.send({ method: 'DELETE', path: owner })
      await calls.settled({ path: child }, isGone, whole)
      await calls.settled({ path: owner }, isGone, whole)
    },
  },
  {
    name: 'loops: an owner that is deleted in the foreground goes last',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-foreground'))
      await calls.ask({ method: 'PATCH', path: child, body: { metadata: { finalizers: ['raftkv.dev/held'] } }, contentType: MERGE }) // prettier-ignore
      await calls.ask({ method: 'DELETE', path: owner, body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' } }) // prettier-ignore
      await calls.settled(
        { path: child },
        (body) => at(body, 'metadata', 'deletionTimestamp') !== undefined,
        metadataOf,
      )
      await calls.send({ path: owner })
      await calls.ask({ method: 'PATCH', path: child, body: [{ op: 'remove', path: '/metadata/finalizers' }], contentType: JSON_PATCH }) // prettier-ignore
      await calls.settled({ path: owner }, isGone, whole)
    },
  },
  {
    name: 'loops: orphans stay, without their owner',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-orphan'))
      await calls.ask({ method: 'DELETE', path: owner, body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' } }) // prettier-ignore
      await calls.settled({ path: owner }, isGone, whole)
      await calls.settled({ path: child }, (body) => at(body, 'metadata', 'ownerReferences') === undefined, metadataOf)
    },
  },
  {
    name: 'loops: an owner that was never there, and one of two',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-dangling')
      const path = place.core('configmaps')
      const { body: real } = await calls.ask({ method: 'POST', path, body: configMap('real') })
      const never = reference(real, { name: 'never', uid: '00000000-0000-4000-8000-000000000000' })
      await calls.ask({ method: 'POST', path, body: dependent('dangling', [never]) })
      await calls.settled({ path: `${path}/dangling` }, isGone, whole)
      await calls.ask({ method: 'POST', path, body: dependent('shared', [reference(real), never]) })
      const isLeft = (body: unknown): boolean => Array.isArray(at(body, 'metadata', 'ownerReferences')) && (at(body, 'metadata', 'ownerReferences') as unknown[]).length === 1 // prettier-ignore
      await calls.settled({ path: `${path}/shared` }, isLeft, metadataOf)
    },
  },
  {
    name: 'loops: a namespace goes with all that is in it',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-namespace')
      await owned(calls, place)
      await place.createSet({ replicas: 1 })
      await place.podsAre(POD_0)
      await calls.ask({ method: 'DELETE', path: '/api/v1/namespaces/loops-namespace' })
      await calls.settled({ path: '/api/v1/namespaces/loops-namespace' }, isGone, whole)
      await calls.send({ path: place.core('persistentvolumeclaims') })
      await calls.send({ path: place.group('raftkv.dev/v1alpha1', 'raftclusters') })
    },
  },
]
