/** Bugs of the operator's part in TLS: operator/cluster/tls.test.ts looks for them. */
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
    find: 'nowMs - madeMs < APPLICATIONS_FOLLOW_MS',
    replace: 'nowMs - madeMs < 0',
  },
  {
    name: 'a lost CA is replaced by one that is trusted alone',
    file: `${CLUSTER}/tls/material.ts`,
    find: '[...kept, ...trusted].map(({ pem }) => pem)',
    replace: '[...kept].map(({ pem }) => pem)',
  },
  {
    name: 'a pod is made before its certificate',
    file: `${CLUSTER}/rules/tls.ts`,
    find: "if (phaseOf(cluster, 'peer') === 'Disabled') return wanted",
    replace: "if (phaseOf(cluster, 'peer') !== 'Disabled') return wanted",
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
    find: 'TLS_PHASES[from + Math.sign(to - from)] ?? at',
    replace: 'TLS_PHASES[to] ?? at',
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
