/** The chart gives the operator what it uses, and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { FINALIZER } from '../../operator/api/raft-cluster.ts'
import { converge, formed, rounds } from '../../operator/cluster/testing/convergence.ts'
import { installCertManager } from '../../operator/cluster/testing/fake-cert-manager.ts'
import { type ApiCall, World } from '../../operator/cluster/testing/world.ts'
import { collectionPath, isKind } from '../../operator/kube/object.ts'
import { OWNED_KINDS } from '../../operator/watches.ts'

const HELPERS = join(import.meta.dirname, '..', '..', 'charts', 'raftkv-operator', 'templates', '_helpers.tpl')

const Rules = z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) }))

/** As `secrets get`. */
function given(): readonly string[] {
  const [, text = ''] =
    /define "raftkv-operator\.rules" -\}\}\n([\s\S]*?)\{\{- end -\}\}/.exec(readFileSync(HELPERS, 'utf8')) ?? []
  // Some are there only with a value of the chart.
  const all = text.replaceAll(/^\{\{.*\}\}$/gm, '')
  return Rules.parse(parse(all)).flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${resource} ${verb}`)),
  )
}

function resourceOf(kind: string): string {
  assert(isKind(kind), kind)
  return collectionPath(kind, undefined).split('/').at(-1) ?? ''
}

/** A server-side apply may make the object. */
const VERBS: Readonly<Record<ApiCall['verb'], readonly string[]>> = {
  get: ['get'],
  list: ['list'],
  apply: ['patch', 'create'],
  'apply status': ['patch'],
  create: ['create'],
  delete: ['delete'],
  patch: ['patch'],
}

function usedBy({ calls }: World): readonly string[] {
  return calls.flatMap(({ verb, kind }) => {
    const resource = resourceOf(kind)
    const place = verb === 'apply status' ? `${resource}/status` : resource
    return VERBS[verb].map((one) => `${place} ${one}`)
  })
}

/** What happens to a cluster from its making to its end. */
async function aLife(): Promise<World> {
  const world = await formed({ networkPolicy: { enabled: true }, storage: { retention: { whenDeleted: 'Delete' } } })
  world.edit({ networkPolicy: { enabled: false }, pdb: { enabled: false }, image: { tag: '2' } })
  await converge(world)
  world.edit({ replicas: 1 })
  await converge(world)
  // The only voter is tried in another pod first.
  world.edit({ image: { tag: '3' } })
  await converge(world)
  world.refusesPods = true
  world.killPod(0)
  await rounds(world, 3)
  const object = world.resource()
  const deletionTimestamp = new Date(world.nowMs).toISOString()
  world.put({ ...object, metadata: { ...object.metadata, deletionTimestamp, finalizers: [FINALIZER] } })
  await rounds(world, 12)
  return world
}

/** Its certificates come from cert-manager, and then from the operator. */
async function aLifeWithCertManager(): Promise<World> {
  const issued = { mode: 'CertManager', issuerRef: { name: 'issuer' } }
  const world = new World({ replicas: 1, tls: { peer: issued, client: issued } })
  installCertManager(world)
  await converge(world)
  world.edit({ tls: { peer: { ...issued, extraNames: ['a.example'] }, client: issued } })
  await rounds(world, 3)
  world.edit({ tls: { peer: { mode: 'Auto' }, client: { mode: 'Auto' } } })
  await rounds(world, 3)
  return world
}

/** Outside of a reconcile, and who is asked. */
const ELSEWHERE = [
  ...['RaftCluster', ...OWNED_KINDS].flatMap((kind) => [`${resourceOf(kind)} list`, `${resourceOf(kind)} watch`]),
  // operator/kube/events.ts: one that repeats is counted up.
  'events create',
  'events patch',
  // Of the garbage collector's admission: owner references block the owner's deletion.
  'raftclusters/finalizers update',
]

/** Those of operator/backup, whose requests are not looked at here. */
const OF_BACKUPS = /^(raftbackups|scheduledraftbackups|jobs|deployments)/

test('every right of the operator is used, and what it uses it has', async () => {
  const lives = [await aLife(), await aLifeWithCertManager()]
  const used = new Set([...lives.flatMap(usedBy), ...ELSEWHERE])
  const rights = given().filter((right) => !OF_BACKUPS.test(right))
  assert.deepEqual(
    rights.filter((right) => !used.has(right)),
    [],
    'rights that nothing needs',
  )
  // The RaftCluster itself is made and deleted by people; claims are made by the StatefulSet's controller.
  const others = ['raftclusters create', 'persistentvolumeclaims create']
  assert.deepEqual(
    [...used].filter((right) => !rights.includes(right) && !others.includes(right)),
    [],
    'rights that are missing',
  )
})
