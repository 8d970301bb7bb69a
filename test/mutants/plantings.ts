/** All planted bugs, each with the program that looks for it: it runs seeds, or cases, until one fails. */
import { join } from 'node:path'
import { MUTANTS as OPERATOR_MUTANTS } from '../operator-simulation/planted.ts'
import { TORTURE_MUTANTS } from '../torture/planted.ts'
import { ADOPT_MUTANTS } from './adopt-mutants.ts'
import {
  BACKUP_MUTANTS,
  CHANGES_MUTANTS,
  REHEARSAL_MUTANTS,
  RESTORE_IN_PLACE_MUTANTS,
  RESTORE_MUTANTS,
  RETENTION_MUTANTS,
  STREAM_MUTANTS,
  VERIFY_MUTANTS,
} from './backup-mutants.ts'
import { CATCH_UP_MUTANTS } from './catch-up-mutants.ts'
import { ETCD_MUTANTS, ETCD_MUTANTS_OF_TESTS } from './etcd-mutants.ts'
import { FULL_DISK_MUTANTS } from './full-disk-mutants.ts'
import { HTTP2_MUTANTS } from './http2-mutants.ts'
import { CONDITIONS_MUTANTS } from './conditions-mutants.ts'
import { LARGE_MUTANTS } from './large-mutants.ts'
import { LIMITS_MUTANTS } from './limits-mutants.ts'
import { OWNER_MUTANTS } from './owner-mutants.ts'
import { PAGE_MUTANTS } from './page-mutants.ts'
import type { Mutant } from './plant.ts'
import { APPLIED_AUTH_MUTANTS, AUTH_MUTANTS } from './auth-mutants.ts'
import { DISCARD_MUTANTS, FRAME_MUTANTS, PEER_IDENTITY_MUTANTS, PEER_SECRET_MUTANTS } from './peer-mutants.ts'
import { KEPT_USERS_MUTANTS, LESSOR_MUTANTS, LINE_MUTANTS, LOCK_MUTANTS } from './property-mutants.ts'
import { RECONFIGURATION_MUTANTS } from './reconfiguration-mutants.ts'
import { RELEASE_MUTANTS } from './release-mutants.ts'
import { RUNS_MUTANTS } from './runs-mutants.ts'
import { STORE_MUTANTS } from './store-mutants.ts'
import {
  ADOPTED_TLS_MUTANTS,
  DEFAULTS_MUTANTS,
  TLS_OPERATOR_MUTANTS,
  TLS_SOURCE_MUTANTS,
} from './tls-operator-mutants.ts'
import { TAKE_OVER_MUTANTS } from './take-over-mutants.ts'
import { AUTOGROW_MUTANTS, UPKEEP_MUTANTS, UPKEEP_MUTANTS_OF_TESTS } from './upkeep-mutants.ts'

export interface Planting {
  readonly mutant: Mutant
  readonly program: string
  readonly args: readonly string[]
}

const TEST = join(import.meta.dirname, '..')

/** `seeds`: how many are tried where that can be chosen. */
export function plantings(seeds: string): readonly Planting[] {
  return [
    ...soughtBy('simulation/hunt.ts', [...STORE_MUTANTS, ...ETCD_MUTANTS], [seeds]),
    ...soughtBy('simulation/reconfiguration-hunt.ts', RECONFIGURATION_MUTANTS),
    ...soughtBy('simulation/catch-up-hunt.ts', CATCH_UP_MUTANTS),
    ...soughtBy('simulation/full-disk-hunt.ts', FULL_DISK_MUTANTS),
    ...soughtBy('simulation/large-hunt.ts', LARGE_MUTANTS),
    ...soughtBy('simulation/lock-line-hunt.ts', LOCK_MUTANTS),
    ...soughtBy('simulation/users-hunt.ts', APPLIED_AUTH_MUTANTS),
    ...soughtBy('mutants/property-hunt.ts', LINE_MUTANTS, ['lines']),
    ...soughtBy('mutants/property-hunt.ts', LESSOR_MUTANTS, ['lessor']),
    ...soughtBy('mutants/property-hunt.ts', AUTH_MUTANTS, ['users']),
    ...soughtBy('mutants/property-hunt.ts', KEPT_USERS_MUTANTS, ['kept-users']),
    ...[...ETCD_MUTANTS_OF_TESTS, ...LIMITS_MUTANTS, ...PAGE_MUTANTS, ...RELEASE_MUTANTS].flatMap(({ test, mutant }) =>
      soughtBy(join('..', test), [mutant]),
    ),
    ...soughtBy('grpc/hunt.ts', HTTP2_MUTANTS),
    ...soughtBy('../node-server/transport/tls.test.ts', PEER_IDENTITY_MUTANTS),
    ...soughtBy('../node-server/transport/secret.test.ts', PEER_SECRET_MUTANTS),
    ...soughtBy('../node-server/transport/frame.test.ts', FRAME_MUTANTS),
    ...soughtBy('../node-server/transport/connection.test.ts', DISCARD_MUTANTS),
    ...soughtBy('mutants/runs-hunt.ts', RUNS_MUTANTS),
    ...soughtBy('../node-server/storage/lmdb-import/take-over.test.ts', TAKE_OVER_MUTANTS),
    ...soughtBy('operator-simulation/hunt.ts', OPERATOR_MUTANTS, ['1', seeds]),
    ...soughtBy('operator-simulation/hunt.ts', UPKEEP_MUTANTS, ['5', seeds, '7']),
    ...soughtBy('../operator/cluster/upkeep.test.ts', UPKEEP_MUTANTS_OF_TESTS),
    ...soughtBy('../operator/cluster/autogrow.test.ts', AUTOGROW_MUTANTS),
    ...soughtBy('../operator/cluster/adopt.test.ts', ADOPT_MUTANTS),
    ...soughtBy('../operator/backup/simulation.test.ts', [...BACKUP_MUTANTS, ...STREAM_MUTANTS]),
    ...soughtBy('../operator/backup/reconcile.test.ts', VERIFY_MUTANTS),
    ...soughtBy('../node-server/tools/rehearsal.test.ts', REHEARSAL_MUTANTS),
    ...soughtBy('../node-server/backup/changes/follow.test.ts', CHANGES_MUTANTS),
    ...soughtBy('../node-server/backup/changes/chain.test.ts', RETENTION_MUTANTS),
    ...soughtBy('../operator/cluster/tls.test.ts', TLS_OPERATOR_MUTANTS),
    ...soughtBy('../operator/cluster/tls-sources.test.ts', TLS_SOURCE_MUTANTS),
    ...soughtBy('../operator/cluster/releases.test.ts', DEFAULTS_MUTANTS),
    ...soughtBy('../operator/cluster/adopt.test.ts', ADOPTED_TLS_MUTANTS),
    ...soughtBy('../operator/cluster/restore.test.ts', RESTORE_MUTANTS),
    ...soughtBy('../operator/cluster/restore-in-place.test.ts', RESTORE_IN_PLACE_MUTANTS),
    ...soughtBy('../operator/cluster/reconcile.test.ts', OWNER_MUTANTS),
    ...soughtBy('../operator/cluster/conditions.test.ts', CONDITIONS_MUTANTS),
    ...soughtBy('torture/hunt.ts', TORTURE_MUTANTS),
  ]
}

function soughtBy(program: string, mutants: readonly Mutant[], args: readonly string[] = []): readonly Planting[] {
  return mutants.map((mutant) => ({ mutant, program: join(TEST, program), args }))
}
