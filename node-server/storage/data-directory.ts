/**
 * A member's data directory. It is made as a whole or not at all, says whose it is, and is used by one process at a time.
 *
 *   <data-dir>/lock                 locked by the process that uses it
 *   <data-dir>/member/identity.json format; cluster ID, member ID, incarnation; whether the member was removed
 *   <data-dir>/member/wal/          what was promised
 *   <data-dir>/member/db/           the store (storage/runs)
 *   <data-dir>/member/snap/         snapshots on their way in or out
 *   <data-dir>/creating/            a directory that is being made; without meaning after a crash
 *   <data-dir>/restoring/           the same out of a snapshot: after a crash nobody may start here as if it were empty
 *
 * The format is that of the whole directory. Who finds one that it does not know touches nothing. Format 1, of which the
 * store is an LMDB file, has none in its identity.json, and the versions that know only that one find nothing there in what
 * later ones write: they say that they cannot read it, before they look at anything else.
 */
import { dirname, join } from 'node:path'
import { ClusterId, MemberId, formatId, parseId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { boolean, integer, mapped, matching, Misshapen, object, readJson, text, type Shape } from '../../lib/shape.ts'
import { isMissing, type Disk } from './disk.ts'
import type { Identity } from './record.ts'
import { REPLACE_MEMBER } from './recovery.ts'

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
const IDENTITY_FILE = 'identity.json'

/** Goes up when versions before would do harm to what this one leaves behind. */
const FORMAT = 2
const FORMER_FORMAT = 1

const hexId = matching(/^[0-9a-f]{1,16}$/)
const identity: Shape<StoredIdentity> = mapped(
  object({ clusterId: hexId, memberId: hexId, incarnation: hexId, name: text, isRemoved: boolean }),
  ({ clusterId, memberId, incarnation, name, isRemoved }) => ({
    clusterId: ClusterId(parseId(clusterId) ?? 0n),
    memberId: MemberId(parseId(memberId) ?? 0n),
    incarnation: parseId(incarnation) ?? 0n,
    name,
    isRemoved,
  }),
)
const anyFormat = object({}, { format: integer(FORMER_FORMAT) })
const presentFormat = object({ identity })

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
  const path = identityPath(dataDirectory)
  try {
    return ok((await readFile(disk, path)).identity)
  } catch (error) {
    if (!isMissing(error))
      return err(`${path} cannot be read (${errorMessage(error)}): restore the file, or ${REPLACE_MEMBER}`)
    if ((await disk.list(dataDirectory)).includes(RESTORING)) {
      return err(
        `a snapshot was being restored into ${dataDirectory} and the restore did not end: run it again, or empty the directory`,
      )
    }
    const others = await disk.list(join(dataDirectory, 'member'))
    if (others.length === 0) return ok(undefined)
    return err(
      `${path} is missing, but there is data beside it (${others.join(', ')}): this is not a whole data directory; restore the file, or ${REPLACE_MEMBER}`,
    )
  }
}

function identityPath(dataDirectory: string): string {
  return join(dataDirectory, 'member', IDENTITY_FILE)
}

async function readFile(
  disk: Disk,
  path: string,
): Promise<{ readonly format: number; readonly identity: StoredIdentity }> {
  const bytes = await disk.readFile(path)
  const { format = FORMER_FORMAT } = readJson(anyFormat, bytes)
  if (format > FORMAT)
    throw new Misshapen('', `it is of format ${format}, and this version knows ${FORMAT}: start a later version here`)
  return {
    format,
    identity: format === FORMER_FORMAT ? readJson(identity, bytes) : readJson(presentFormat, bytes).identity,
  }
}

/** From now on the versions before do not start here. Once it resolves that is durable. */
export async function noteFormat(disk: Disk, dataDirectory: string): Promise<void> {
  const { format, identity } = await readFile(disk, identityPath(dataDirectory))
  if (format !== FORMAT) await writeIdentity(disk, join(dataDirectory, 'member'), identity)
}

function errorMessage(error: unknown): string {
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
      format: FORMAT,
      identity: {
        clusterId: formatId(identity.clusterId),
        memberId: formatId(identity.memberId),
        incarnation: formatId(identity.incarnation),
        name: identity.name,
        isRemoved: identity.isRemoved,
      },
    },
    null,
    2,
  )
  const temporary = join(folder, `${IDENTITY_FILE}.tmp`)
  const file = await disk.open(temporary, { create: true })
  await file.truncate(0)
  await file.write(Buffer.from(`${text}\n`), 0)
  await file.sync()
  await file.close()
  await disk.rename(temporary, join(folder, IDENTITY_FILE))
  await disk.syncDirectory(folder)
}
