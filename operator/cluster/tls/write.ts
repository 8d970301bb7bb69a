/** Makes or takes what a decision names, and writes it into its Secret, unless that has changed since it was looked at. I/O, but no decision. */
import { assert } from '../../../lib/assert.ts'
import { timestamp } from '../../api/conditions.ts'
import { ANNOTATIONS } from '../../api/raft-cluster.ts'
import type { Observed } from '../observed.ts'
import type { Action } from '../plan.ts'
import type { ReconcileDeps } from '../ports.ts'
import { names, type TlsSecret } from '../resources/names.ts'
import { encoded, tlsSecret, type TlsSecretContent } from '../resources/tls-secret.ts'
import { makeAuthority, makeLeaf } from './issue.ts'
import { AUTHORITY_OF, type Files, PREVIOUS_FILES, SECRETS_OF, TLS_FILES } from './leaves.ts'
import { pemOf } from './certificates.ts'
import { materialOf } from './material.ts'
import { pairIn, textIn } from './secrets.ts'
import { idOf } from './source.ts'

type TlsAction = Extract<Action, { kind: 'make-authority' | 'write-certificates' }>

export async function writeTls(deps: ReconcileDeps, observed: Observed, action: TlsAction): Promise<void> {
  const content =
    action.kind === 'make-authority'
      ? await authority(deps, observed, action)
      : await certificates(deps, observed, action)
  await replace(deps, observed, action.secret, content)
}

async function authority(
  deps: ReconcileDeps,
  { cluster, objects, nowMs }: Observed,
  { secret, trusted, keepsPrevious, request }: Extract<TlsAction, { kind: 'make-authority' }>,
): Promise<TlsSecretContent> {
  const { certificate, key } = await makeAuthority(names.tls(cluster, secret), { nowMs, randomBytes: deps.randomBytes })
  const before = keepsPrevious ? pairIn(objects.tls.get(secret), TLS_FILES) : undefined
  return {
    trusted: [certificate, ...trusted],
    data: {
      ...pair(TLS_FILES, certificate, key),
      ...(before !== undefined && pair(PREVIOUS_FILES, before.certificate.pem, before.key)),
    },
    request,
  }
}

async function certificates(
  deps: ReconcileDeps,
  observed: Observed,
  { secret, trusted, keep, make, take, signer }: Extract<TlsAction, { kind: 'write-certificates' }>,
): Promise<TlsSecretContent> {
  const { objects, nowMs } = observed
  const is = objects.tls.get(secret)
  const data: Record<string, string> = Object.fromEntries(keep.map((key) => [key, encoded(textIn(is, key))]))
  const side = SECRETS_OF.peer.includes(secret) ? 'peer' : 'client'
  const material = materialOf(observed, side)
  for (const request of take) {
    const given = material.source?.pairs.get(idOf(request))
    assert(given !== undefined, 'only what is there is taken')
    Object.assign(data, pair(request.files, pemOf(given.chain), given.key))
  }
  const by = signer === undefined ? undefined : material[signer]
  for (const request of make) {
    assert(by !== undefined, 'a certificate is made only by a CA that is there')
    const { certificate, key } = await makeLeaf(request, by, { nowMs, randomBytes: deps.randomBytes })
    Object.assign(data, pair(request.files, certificate, key))
  }
  const isAuthority = Object.values(AUTHORITY_OF).includes(secret)
  if (!isAuthority) return { trusted, data, changedAt: timestamp(nowMs) }
  return { trusted, data, request: is?.metadata.annotations?.[ANNOTATIONS.rotateAuthorities] }
}

function pair(files: Files, certificate: string, key: string): Record<string, string> {
  return { [files.certificate]: encoded(certificate), [files.key]: encoded(key) }
}

/** Two operators at once: the second one changes nothing. A new one is made empty first, which only one of them can. */
async function replace(
  { writer }: ReconcileDeps,
  { cluster, objects }: Observed,
  secret: TlsSecret,
  content: TlsSecretContent,
): Promise<void> {
  const object = tlsSecret(cluster, secret, content)
  const empty = { apiVersion: object.apiVersion, kind: object.kind, metadata: object.metadata, type: object['type'] }
  const there = objects.tls.get(secret) ?? (await writer.create(empty))
  const { resourceVersion } = there.metadata
  assert(resourceVersion !== undefined, 'what is there has a version')
  await writer.apply({ ...object, metadata: { ...object.metadata, resourceVersion } })
}
