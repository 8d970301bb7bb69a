/**
 * Namespaces: those that must be there, the service account and the CA of each, and their deletion: everything in them
 * first, the namespace when nothing is left.
 */
import { z } from 'zod'
import { isProblem } from '../../operator/kube/api-error.ts'
import { keyOf } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'
import type { Universe } from './universe.ts'

const ALWAYS = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const
/** Mounted into every pod that talks to the API server; empty, since that is reached over plain HTTP on loopback. */
const CA_NAME = 'kube-root-ca.crt'
/** What was deleted goes when its finalizers have been served. */
const LOOK_AGAIN_MS = 200

const Finalizers = z.object({ spec: z.object({ finalizers: z.array(z.string()).default([]) }).prefault({}) })

export async function startNamespaces(sandbox: Sandbox, universe: Universe): Promise<Loop> {
  const { client, mirrors } = sandbox
  const namespaces = mirrors.of(RESOURCES.namespaces)
  await Promise.all([namespaces.synced, mirrors.of(RESOURCES.serviceAccounts).synced])
  const missing = ALWAYS.filter((name) => namespaces.get(name) === undefined)
  for (const name of missing) {
    await client.createIfMissing(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  const loop = startLoop(sandbox, {
    name: 'namespace',
    reconcile: async (key) => reconcile(sandbox, universe, key),
    keys: () => [...namespaces.values()].map(keyOf),
  })
  namespaces.onChange((namespace, isGone) => isGone || loop.enqueue(keyOf(namespace)))
  mirrors.of(RESOURCES.serviceAccounts).onChange((account, isGone) => {
    if (isGone && account.metadata.namespace !== undefined) loop.enqueue(account.metadata.namespace)
  })
  return loop
}

async function reconcile(sandbox: Sandbox, universe: Universe, name: string): Promise<number | undefined> {
  const { client, mirrors } = sandbox
  const namespace = mirrors.of(RESOURCES.namespaces).get(name)
  if (namespace === undefined) return undefined
  if (namespace.metadata.deletionTimestamp !== undefined) return empty(sandbox, universe, name)
  if (mirrors.of(RESOURCES.serviceAccounts).get(`${name}/default`) !== undefined) return undefined
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } }
  const ca = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: CA_NAME, namespace: name },
    data: { 'ca.crt': '' },
  }
  try {
    await client.createIfMissing(RESOURCES.configMaps, ca)
    await client.createIfMissing(RESOURCES.serviceAccounts, account)
  } catch (error) {
    // It is being deleted: the event about that brings us back.
    if (!isProblem(error, 'Forbidden', 'NotFound')) throw error
  }
  return undefined
}

/** Deletes all in it; `finalize` when nothing is left. */
async function empty(sandbox: Sandbox, universe: Universe, name: string): Promise<number | undefined> {
  const { client } = sandbox
  let left = 0
  for (const resource of universe.resources().filter(({ isNamespaced }) => isNamespaced)) {
    // From the server: what a mirror has not seen yet must not be left behind.
    const { items } = await client.list(resource, { namespace: name })
    left += items.length
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp !== undefined) continue
      await client.delete(resource, { namespace: name, name: metadata.name }, { uid: metadata.uid })
    }
  }
  if (left > 0) return LOOK_AGAIN_MS
  const namespace = await client.get(RESOURCES.namespaces, { namespace: undefined, name })
  if (namespace === undefined) return undefined
  const { finalizers } = Finalizers.parse(namespace).spec
  const spec = { finalizers: finalizers.filter((finalizer) => finalizer !== 'kubernetes') }
  await client.update(RESOURCES.namespaces, { ...namespace, spec }, { subresource: 'finalize' })
  return undefined
}
