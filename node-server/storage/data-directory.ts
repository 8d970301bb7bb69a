/**
 * A member's data directory. It is made as a whole or not at all, says whose it is, and is used by one process at a time.
 *
 *   <data-dir>/lock                 locked by the process that uses it
 *   <data-dir>/member/identity.json cluster ID, member ID, incarnation; whether the member was removed
 *   <data-dir>/member/wal/          what was promised
 *   <data-dir>/member/db/           the store (storage/runs)
 *   <data-dir>/member/snap/         snapshots on their way in or out
 *   <data-dir>/creating/            a directory that is being made; without meaning after a crash
 *   <data-dir>/restoring/           the same out of a snapshot: after a crash nobody may start here as if it were empty
 */
import { dirname, join } from 'node:path'
import { ClusterId, MemberId, formatId, parseId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { boolean, matching, object, readJson, text } from '../../lib/shape.ts'
import { isMissing, type Disk } from './disk.ts'
import type { Identity } from './record.ts'
import { START_ANEW } from './recovery.ts'

export interface MemberPaths {
  readonly wal: string
  readonly db: string
  readonly snapshots: string
}

export interface StoredIdentity extends Identity {
  readonly name: string
  /** The cluster has removed this member: the directory is of no more use. */
  readonly isRemoved: boolean
}

export const CREATING = 'creating'
export const RESTORING = 'restoring'

const hexId = matching(/^[0-9a-f]{1,16}$/)
const identityFile = object({
  clusterId: hexId,
  memberId: hexId,
  incarnation: hexId,
  name: text,
  isRemoved: boolean,
})

export function memberPaths(dataDirectory: string): MemberPaths {
  return pathsIn(join(dataDirectory, 'member'))
}

function pathsIn(folder: string): MemberPaths {
  return { wal: join(folder, 'wal'), db: join(folder, 'db'), snapshots: join(folder, 'snap') }
}

/** Undefined for a directory without a member. The error says in words why the directory cannot be used. */
export async function readIdentity(
  disk: Disk,
  dataDirectory: string,
): Promise<Result<StoredIdentity | undefined, string>> {
  const path = join(dataDirectory, 'member', 'identity.json')
  try {
    const file = readJson(identityFile, await disk.readFile(path))
    return ok({
      clusterId: ClusterId(parseId(file.clusterId) ?? 0n),
      memberId: MemberId(parseId(file.memberId) ?? 0n),
      incarnation: parseId(file.incarnation) ?? 0n,
      name: file.name,
      isRemoved: file.isRemoved,
    })
  } catch (error) {
    if (!isMissing(error)) return err(`${path} cannot be read (${wordsOf(error)}): restore the file, or ${START_ANEW}`)
    if ((await disk.list(dataDirectory)).includes(RESTORING)) {
      return err(
        `a snapshot was being restored into ${dataDirectory} and the restore did not end: run it again, or empty the directory`,
      )
    }
    const others = await disk.list(join(dataDirectory, 'member'))
    if (others.length === 0) return ok(undefined)
    return err(
      `${path} is missing, but there is data beside it (${others.join(', ')}): this is not a whole data directory; restore the file, or ${START_ANEW}`,
    )
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Makes the directory of a new member: `fill` writes log and store at the paths it is given, durably. */
export async function createMember(
  disk: Disk,
  dataDirectory: string,
  member: Omit<StoredIdentity, 'isRemoved'>,
  fill: (paths: MemberPaths, identity: Identity) => Promise<void>,
  workFolder: typeof CREATING | typeof RESTORING = CREATING,
): Promise<StoredIdentity> {
  const creating = join(dataDirectory, workFolder)
  await disk.remove(creating)
  const paths = pathsIn(creating)
  for (const path of [dataDirectory, creating, paths.db, paths.snapshots]) await disk.makeDirectory(path)
  await disk.syncDirectory(dataDirectory) // after a crash it shows what was under way
  const identity: StoredIdentity = { ...member, isRemoved: false }
  await fill(paths, identity)
  await disk.syncDirectory(paths.db)
  await writeIdentity(disk, creating, identity)
  await disk.rename(creating, join(dataDirectory, 'member'))
  await disk.syncDirectory(dataDirectory)
  await disk.syncDirectory(dirname(dataDirectory)) // the directory itself may be new
  return identity
}

/** The directory is refused from now on. */
export async function markRemoved(disk: Disk, dataDirectory: string, identity: StoredIdentity): Promise<void> {
  await writeIdentity(disk, join(dataDirectory, 'member'), { ...identity, isRemoved: true })
}

async function writeIdentity(disk: Disk, folder: string, identity: StoredIdentity): Promise<void> {
  const text = JSON.stringify(
    {
      clusterId: formatId(identity.clusterId),
      memberId: formatId(identity.memberId),
      incarnation: formatId(identity.incarnation),
      name: identity.name,
      isRemoved: identity.isRemoved,
    },
    null,
    2,
  )
  const temporary = join(folder, 'identity.json.tmp')
  const file = await disk.open(temporary, { create: true })
  await file.truncate(0)
  await file.write(Buffer.from(`${text}\n`), 0)
  await file.sync()
  await file.close()
  await disk.rename(temporary, join(folder, 'identity.json'))
  await disk.syncDirectory(folder)
}
