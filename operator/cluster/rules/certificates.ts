/** Certificates of cert-manager: one for each certificate of a side that has them from there, and none of another. Pure. */
import { SIDES } from '../../api/tls.ts'
import { hasFields } from '../has-fields.ts'
import type { Observed } from '../observed.ts'
import type { Action } from '../plan.ts'
import type { ApplyObject } from '../ports.ts'
import { certificateFor } from '../resources/certificate.ts'
import { wantedLeaves } from '../tls/wanted.ts'

export function keepCertificates(observed: Observed): readonly Action[] {
  const { certificates } = observed.objects
  if (certificates === undefined || observed.unread.some(({ kind }) => kind === 'Certificate')) return []
  const wanted = new Map(wantedCertificates(observed).map((object) => [object.metadata.name, object]))
  const others = [...certificates.values()].filter(({ metadata }) => !wanted.has(metadata.name))
  return [
    // One of that name that is not ours is not seen here, and not taken over.
    ...[...wanted]
      .filter(([name, object]) => !hasFields(certificates.get(name), object))
      .map(([name, object]) => ({ kind: certificates.has(name) ? ('apply' as const) : ('create' as const), object })),
    ...others.map(({ apiVersion, kind, metadata: { name, namespace = '', uid = '' } }) => ({
      kind: 'delete-object' as const,
      ref: { apiVersion, kind, namespace, name },
      uid,
    })),
  ]
}

/** Only once it is recorded that there may be some: what nobody remembers would never go. */
function wantedCertificates(observed: Observed): readonly ApplyObject[] {
  const { spec, recorded } = observed.cluster
  return SIDES.filter(
    (side) => spec.tls[side].mode === 'CertManager' && recorded.tls?.[side].mode === 'CertManager',
  ).flatMap((side) => wantedLeaves(observed, side).map((request) => certificateFor(observed.cluster, side, request)))
}
