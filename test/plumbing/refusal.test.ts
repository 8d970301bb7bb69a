/**
 * The reconcile code, its client and the CRD together, against an API server that refuses to answer as it should for one
 * kind of object: what the status says of it is kept by the API server and read back.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { err } from '../../lib/result.ts'
import { parseStatus, type RaftClusterStatus } from '../../operator/api/status.ts'
import type { AdminClient } from '../../operator/cluster/ports.ts'
import { reconcile } from '../../operator/cluster/reconcile.ts'
import { FORMS } from '../../operator/cluster/resources/forms.ts'
import { podAdminUrl, podClientUrl } from '../../operator/cluster/resources/names.ts'
import { FakeUsers } from '../../operator/cluster/testing/fake-users.ts'
import { ClusterAccess } from '../../operator/kube/cluster-access.ts'
import { answer, type Fault } from './faulty-proxy.ts'
import { NAMESPACE, type Plumbing, startPlumbing } from './plumbing.ts'

const NAME = 'demo'
const CRD = join(import.meta.dirname, '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')
const nobody = (): Promise<ReturnType<typeof err<{ kind: 'unreachable'; message: string }>>> =>
  Promise.resolve(err({ kind: 'unreachable', message: 'no member runs here' }))
const NO_MEMBERS: AdminClient = {
  status: nobody,
  bootstrap: nobody,
  join: nobody,
  membership: nobody,
  transferLeader: nobody,
  recover: nobody,
  keepUp: nobody,
  secured: () => NO_MEMBERS,
}

interface Operated extends Plumbing {
  /** Looks once and answers the status then. */
  readonly look: () => Promise<RaftClusterStatus>
  nowMs: number
}

async function operate(t: TestContext): Promise<Operated> {
  const plumbing = await startPlumbing(t)
  const { server, faulty, direct } = plumbing
  const headers = { authorization: 'Bearer test', 'content-type': 'application/json' }
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const body = JSON.stringify(parse(readFileSync(CRD, 'utf8')))
  const made = await fetch(server.url + path, { method: 'POST', headers, body })
  assert.equal(made.status, 201, await made.text())
  const metadata = { name: NAME, namespace: NAMESPACE }
  // With certificates to issue first, the StatefulSet would come at the second look.
  const spec = { tls: { peer: { mode: 'Disabled' }, client: { mode: 'Disabled' } } }
  await direct.create({ apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', metadata, spec })
  const operated: Operated = { ...plumbing, look, nowMs: Date.now() }
  const access = new ClusterAccess(faulty)
  async function look(): Promise<RaftClusterStatus> {
    const deps = {
      reader: access,
      writer: access,
      events: { emit: () => undefined },
      admin: NO_MEMBERS,
      adminUrl: podAdminUrl,
      users: new FakeUsers(),
      clientUrl: podClientUrl,
      nowMs: () => operated.nowMs,
      randomBytes: (count: number) => Buffer.alloc(count, 7),
      crypto: globalThis.crypto,
      defaultImage: 'raftkv:1',
      operatorPods: undefined,
      forms: FORMS,
      signal: new AbortController().signal,
    }
    await reconcile(deps, { namespace: NAMESPACE, name: NAME })
    return parseStatus((await direct.get('RaftCluster', metadata))?.['status'])
  }
  return operated
}

const degraded = ({ conditions }: RaftClusterStatus): string => {
  const found = conditions.find(({ type }) => type === 'Degraded')
  return `${found?.status} ${found?.reason}: ${found?.message}`
}

const FAULTS: Readonly<Record<string, () => Fault>> = {
  'a webhook whose service is away (500)': () => answer(500, 'failed calling webhook'),
  'a quota (403)': () => answer(403, 'exceeded quota'),
  'a conflict that stays (409)': () => answer(409, 'Conflict'),
  'HTML of a proxy': () => ({ kind: 'answer', status: 200, body: '<html>sorry</html>' }),
  'a connection that breaks': () => ({ kind: 'reset' }),
}

void suite('one kind of object is refused', () => {
  for (const [what, fault] of Object.entries(FAULTS))
    test(`${what}: the others are made, the status names it and keeps since when, and it is over with the fault`, async (t) => {
      const operated = await operate(t)
      const { proxy, direct } = operated
      proxy.rule = ({ method, url }) =>
        method === 'PATCH' && url.pathname.endsWith('/statefulsets/demo') ? fault() : undefined
      const first = await operated.look()
      assert.match(degraded(first), /^True ApiServerRefused: StatefulSet demo has been refused since /)
      const [refusal] = first.refusals
      assert.equal(refusal?.subject, 'StatefulSet demo')
      for (const kind of ['Secret', 'ServiceAccount', 'PodDisruptionBudget'] as const)
        assert((await direct.list(kind, { namespace: NAMESPACE })).items.length > 0, kind)
      operated.nowMs += 5_000
      assert.equal((await operated.look()).refusals[0]?.since, refusal.since)
      proxy.rule = () => undefined
      operated.nowMs += 60_000
      const last = await operated.look()
      assert.deepEqual(last.refusals, [])
      assert.match(degraded(last), /^False /)
      assert.notEqual(await direct.get('StatefulSet', { namespace: NAMESPACE, name: NAME }), undefined)
    })
})
