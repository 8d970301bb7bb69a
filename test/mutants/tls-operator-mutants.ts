/** Bugs of the operator's part in TLS: operator/cluster/tls.test.ts looks for those of its own CAs, tls-sources.test.ts for the others. */
import type { Mutant } from './plant.ts'

const CLUSTER = 'operator/cluster'

export const TLS_OPERATOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'a new CA signs before anybody trusts it',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: "if (untilTrusted.length > 0) return { step: 'Trusting', signer: previous, waitsFor: untilTrusted }",
    replace: "if (untilTrusted.length > 0) return { step: 'Trusting', signer: newest, waitsFor: untilTrusted }",
  },
  {
    name: 'a member that says nothing trusts the new CA',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: 'tls?.trusted.includes(fingerprint) !== true',
    replace: 'tls?.trusted.includes(fingerprint) === false && tls.trusted.length === 0',
  },
  {
    name: 'the old CA leaves while a member shows a certificate of it',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: 'const behind = reports.filter(',
    replace: 'const behind = [].filter(',
  },
  {
    name: 'applications have no time to follow',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: "nowMs - Date.parse(changedAt ?? '') < APPLICATIONS_FOLLOW_MS",
    replace: "nowMs - Date.parse(changedAt ?? '') < 0",
  },
  {
    name: 'applications whose Secret was lost have no time to follow',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: 'isYoung || bundleIn(secret).length === 0',
    replace: 'isYoung',
  },
  {
    name: 'a lost CA is replaced by one that is trusted alone',
    file: `${CLUSTER}/tls/material.ts`,
    find: 'source === undefined ? [...kept, ...trusted] :',
    replace: 'source === undefined ? kept :',
  },
  {
    name: 'a pod is made before its certificate',
    file: `${CLUSTER}/rules/tls.ts`,
    find: "if (phaseOf(cluster, 'peer') === 'Disabled') return wanted",
    replace: "if (phaseOf(cluster, 'peer') !== 'Disabled') return wanted",
  },
  {
    name: 'a member waits for the certificate of another',
    file: `${CLUSTER}/rules/tls.ts`,
    find: 'objects.statefulSet?.endOrdinal ?? 0, ...members)',
    replace: 'objects.statefulSet?.endOrdinal ?? 0)',
  },
  {
    name: 'members that lost their StatefulSet wait for the certificates of others',
    file: `${CLUSTER}/rules/tls.ts`,
    find: 'if (objects.statefulSet !== undefined || isFormed(observed)) return false',
    replace: 'if (objects.statefulSet !== undefined) return false',
  },
  {
    name: 'certificates are renewed when they end',
    file: `${CLUSTER}/rules/tls.ts`,
    find: '(renewBeforeMs ?? (notAfterMs - notBeforeMs) / 3)',
    replace: '(renewBeforeMs ?? 0)',
  },
  {
    name: 'a step begins while members are in the one before',
    file: `${CLUSTER}/rules/tls-phase.ts`,
    find: 'untilSteady(observed).length > 0) return at',
    replace: 'untilSteady(observed).length > 9) return at',
  },
  {
    name: 'https alone follows at once',
    file: `${CLUSTER}/rules/tls-phase.ts`,
    find: "if (at === 'Disabled') return 'Accepted'",
    replace: "if (at === 'Disabled') return target",
  },
  {
    name: 'members that take both are known by plaintext alone',
    file: `${CLUSTER}/resources/connections.ts`,
    find: "`--initial-advertise-peer-urls=${urls(cluster, 'peer', host, PORTS.peer)}`",
    replace: "`--initial-advertise-peer-urls=${urls(cluster, 'peer', host, PORTS.peer).split(',')[0]}`",
  },
  {
    name: 'a member is known well enough by one of the schemes that it takes',
    file: `${CLUSTER}/rules/tls-phase.ts`,
    find: 'isAlike([...new Set(known)], LISTENED[phase])',
    replace: 'known.every((scheme) => LISTENED[phase].includes(scheme))',
  },
  {
    name: 'the first pods do not wait until it is recorded how they talk',
    file: `${CLUSTER}/rules/tls.ts`,
    find: 'if (cluster.recorded.tls === undefined) return SIDES.some((side) => isWanted(cluster, side))',
    replace: 'if (cluster.recorded.tls === undefined) return false',
  },
  {
    name: 'a certificate passes for every member',
    file: `${CLUSTER}/tls/leaves.ts`,
    find: '...podNames(cluster, names.pod(cluster, ordinal)), ...LOCAL',
    replace: "...podNames(cluster, '*'), ...LOCAL",
  },
  {
    name: 'a Secret is written whatever became of it meanwhile',
    file: `${CLUSTER}/tls/write.ts`,
    find: 'metadata: { ...object.metadata, resourceVersion } })',
    replace: 'metadata: object.metadata })',
  },
]

/** Which default a cluster has: operator/cluster/releases.test.ts. */
export const DEFAULTS_MUTANTS: readonly Mutant[] = [
  {
    name: 'a cluster from before has the defaults of today',
    file: 'operator/api/defaults.ts',
    find: "clusterID === '' && configIndex === 0 ? DEFAULTS : UNRECORDED",
    replace: 'DEFAULTS',
  },
  {
    name: 'defaults are forgotten at the look after they were recorded',
    file: `${CLUSTER}/status.ts`,
    find: '{ ...recorded.base, ...baseOf(observed) }',
    replace: 'baseOf(observed)',
  },
  {
    name: 'defaults are not recorded with the ID',
    file: `${CLUSTER}/act.ts`,
    find: 'base: { ...recorded.base, defaults: defaultsOf(recorded) } }',
    replace: 'base: recorded.base }',
  },
]

/** operator/cluster/adopt.test.ts. */
export const ADOPTED_TLS_MUTANTS: readonly Mutant[] = [
  {
    name: 'adopted members take nothing but TLS before they are known by it',
    file: `${CLUSTER}/rules/tls-phase.ts`,
    find: "observed.cluster.spec.bootstrap?.adopt !== undefined ? 'Preferred' : target",
    replace: 'observed.nowMs < 0 ? target : target',
  },
]

export const TLS_SOURCE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a certificate of another CA is taken before anybody trusts that',
    file: `${CLUSTER}/rules/tls.ts`,
    find: "(step !== 'Trusting' || !isForeign(observed, request, material))",
    replace: 'true',
  },
  {
    name: 'a renewed certificate waits for a member that is away',
    file: `${CLUSTER}/rules/tls.ts`,
    find: "(step !== 'Trusting' || !isForeign(observed, request, material))",
    replace: "step !== 'Trusting' && isForeign(observed, request, material)",
  },
  {
    name: 'the operator waits for members that it cannot hear',
    file: `${CLUSTER}/rules/tls.ts`,
    find: "request.secret === 'operatorTls' && notAfterMs <= observed.nowMs",
    replace: 'notAfterMs < 0 && request.names.length > 99',
  },
  {
    name: 'the CAs before leave although not all certificates have come',
    file: `${CLUSTER}/tls/rotation.ts`,
    find: "if (foreign.length > 0) return { step: 'Reissuing'",
    replace: "if (foreign.length > 9) return { step: 'Reissuing'",
  },
  {
    name: 'a certificate is taken whoever it is for',
    file: `${CLUSTER}/tls/source.ts`,
    find: 'hosts.filter((host) => !isValidFor(certificate, host))',
    replace: 'hosts.filter((host) => !isValidFor(certificate, host) && false)',
  },
  {
    name: 'a certificate is taken whoever signed it',
    file: `${CLUSTER}/tls/source.ts`,
    find: 'authorities.length > 0 && anchor === undefined ?',
    replace: 'authorities.length > 9 && anchor === undefined ?',
  },
  {
    name: 'a certificate is taken that is over',
    file: `${CLUSTER}/tls/source.ts`,
    find: 'if (nowMs >= notAfterMs) return',
    replace: 'if (nowMs >= 2 * notAfterMs) return',
  },
  {
    name: 'the operator renews nothing while what is to take its place cannot be used',
    file: `${CLUSTER}/rules/tls.ts`,
    find: '!source.pairs.has(idOf(request)) && observed.nowMs >= endOfTerm(certificate, undefined)',
    replace: 'false',
  },
  {
    name: 'Certificates are made before it is recorded that there may be some',
    file: `${CLUSTER}/rules/certificates.ts`,
    find: "spec.tls[side].mode === 'CertManager' && recorded.tls?.[side].mode === 'CertManager'",
    replace: "spec.tls[side].mode === 'CertManager'",
  },
  {
    name: 'Certificates of a mode that is over stay',
    file: `${CLUSTER}/tls-status.ts`,
    find: "before === 'CertManager' && (objects.certificates?.size ?? 0) > 0",
    replace: "before === 'CertManager' && (objects.certificates?.size ?? 0) > 99",
  },
  {
    name: 'without cert-manager nothing else is done',
    file: `${CLUSTER}/observe/reading.ts`,
    find: "error.problem.kind === 'not-found') return undefined",
    replace: "error.problem.kind === 'not-found') throw new Error('no cert-manager')",
  },
]
