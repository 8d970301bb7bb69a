/** kubectl raft: looks at RaftClusters and asks the operator for what is not in their spec. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { VERSION } from '../lib/version.ts'
import { ANNOTATIONS } from '../operator/api/raft-cluster.ts'
import { awaitBackup, backupObject, create, specAfter } from './backup.ts'
import { runEtcdctl } from './etcdctl.ts'
import { kubectlAt, KubectlFailed, type Kubectl, type Target } from './kubectl.ts'
import { placeOf, type PlaceFlags } from './place.ts'
import { getCluster } from './raft-cluster.ts'
import { reportFiles } from './report.ts'
import { restoredCluster, specLike } from './restore.ts'
import { membersText, statusText } from './status.ts'

const WATCH_MS = 2000
const CLEAR_SCREEN = '\x1b[2J\x1b[H'

const program = new Command('kubectl raft')
  .description('Shows RaftClusters, and asks their operator for what the spec cannot say.')
  .version(VERSION)
  .option('-n, --namespace <name>', 'of the RaftCluster')
  .option('--context <name>', "of kubectl's configuration")
  .option('--kubeconfig <file>', "kubectl's configuration")
  .enablePositionalOptions()

const kubectl = (): Kubectl => kubectlAt(program.opts<Target>())

interface StatusOptions {
  readonly output?: string
  readonly watch: boolean
}

program
  .command('status')
  .argument('<cluster>')
  .description('Members, conditions and the operation under way.')
  .option('-o, --output <form>', 'json: the status as it is in Kubernetes')
  .option('-w, --watch', 'again every two seconds', false)
  .action(async (name: string, { output, watch }: StatusOptions) => {
    for (;;) {
      const cluster = await getCluster(kubectl(), name)
      const text = output === 'json' ? JSON.stringify(cluster.status, undefined, 2) : statusText(cluster, Date.now())
      if (watch && output !== 'json') process.stdout.write(CLEAR_SCREEN)
      process.stdout.write(`${text}\n`)
      if (!watch) return
      await sleep(WATCH_MS)
    }
  })

program
  .command('members')
  .argument('<cluster>')
  .description('The members: which one leads, how far each lags, how large it is.')
  .action(async (name: string) => {
    process.stdout.write(`${membersText(await getCluster(kubectl(), name))}\n`)
  })

program
  .command('logs')
  .argument('<cluster>')
  .argument('[kubectl flags...]', 'such as --since=1h or --follow')
  .description('The logs of all members, each line with its pod.')
  .passThroughOptions()
  .allowUnknownOption()
  .action(async (name: string, flags: readonly string[]) => {
    const args = ['logs', `--selector=raftkv.dev/cluster=${name}`, '--prefix', '--tail=-1', '--max-log-requests=20']
    process.exitCode = await kubectl().show([...args, ...flags])
  })

program
  .command('move-leader')
  .argument('<cluster>')
  .argument('<member>', 'its pod, or its ID')
  .description('Makes another member the leader. A later election may choose differently.')
  .addHelpText(
    'after',
    `
The operator asks the leader to hand over once the other has all that is committed; writes wait for some milliseconds meanwhile.
kubectl raft members shows who leads. Example: kubectl raft move-leader demo demo-1`,
  )
  .action((name: string, member: string) => annotate(name, ANNOTATIONS.moveLeader, member))

program
  .command('restart')
  .argument('<cluster>')
  .description('Restarts the members one by one, the leader last, once it has handed over.')
  .addHelpText(
    'after',
    `
The next one goes once the one before has caught up and votes again, so the cluster serves all the time. kubectl raft status -w
shows how far it is. Example: kubectl raft restart demo`,
  )
  .action((name: string) => annotate(name, ANNOTATIONS.restartedAt, new Date().toISOString()))

program
  .command('replace-member')
  .argument('<cluster>')
  .argument('<member>', 'its pod, or its ID')
  .description('Removes a member, deletes its volume, and adds an empty member in its place.')
  .addHelpText(
    'after',
    `
For a member whose volume or node is gone, or whose data is damaged. It is refused while the others are no quorum, or where there
are no others: then see kubectl raft backup and docs/recovery.md. Example: kubectl raft replace-member demo demo-2 --yes`,
  )
  .option('--yes', 'do not ask: what only that volume has is lost', false)
  .action(async (name: string, member: string, { yes }: { readonly yes: boolean }) => {
    if (!yes)
      throw new KubectlFailed(
        `this deletes the volume of ${member}; the others have all that was acknowledged. Say --yes if you want it`,
      )
    await annotate(name, ANNOTATIONS.replaceMember, member)
  })

for (const [command, paused, what] of [
  ['pause', true, 'The operator stops changing anything; the members keep running.'],
  ['resume', false, 'The operator goes back to work.'],
] as const) {
  program
    .command(command)
    .argument('<cluster>')
    .description(what)
    .action(async (name: string) => {
      const patch = JSON.stringify({ spec: { paused } })
      process.exitCode = await kubectl().show(['patch', 'raftcluster', name, '--type=merge', `--patch=${patch}`])
    })
}

function ofPlaces(command: Command): Command {
  return command
    .option('--endpoint <url>', 'of a bucket that is not at AWS, such as https://minio.minio.svc:9000')
    .option('--region <name>', 'of the bucket')
    .option(
      '--credentials <secret>',
      'with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without it the identity of the pod',
    )
    .option('--path-style', 'the bucket is a path of the endpoint, as MinIO has it')
}

interface BackupOptions extends PlaceFlags {
  readonly to?: string
  readonly like?: string
  readonly wait: boolean
  readonly timeout: number
}

ofPlaces(
  program
    .command('backup')
    .argument('<cluster>')
    .description('Takes a backup now, and waits until it has been read back and was the same.')
    .option('--to <place>', 's3://BUCKET/PREFIX, or pvc://CLAIM/PATH for a PersistentVolumeClaim')
    .option('--like <schedule>', 'to where this ScheduledRaftBackup does it; default: the only one of the cluster')
    .option('--no-wait', 'make the RaftBackup and do not wait for it')
    .option('--timeout <seconds>', 'wait so long at most', whole, 3900),
)
  .addHelpText(
    'after',
    `
Examples:
  kubectl raft backup demo                                  where its schedule does it
  kubectl raft backup demo --to s3://backups/prod --endpoint https://minio.minio.svc:9000 --path-style --credentials minio-keys
  kubectl raft backup demo --to pvc://backups/demo

It is a RaftBackup: kubectl get raftbackups lists them. One restores it with kubectl raft restore.`,
  )
  .action(async (name: string, { to, like, wait, timeout, ...flags }: BackupOptions) => {
    if (to !== undefined && like !== undefined) throw new KubectlFailed('give either --to or --like')
    const spec = to === undefined ? await specAfter(kubectl(), name, like) : { destination: placeOf(to, flags) }
    const made = await create(kubectl(), backupObject(name, spec, Date.now()))
    const tell = (line: string): void => void process.stderr.write(`${line}\n`)
    process.stdout.write(`${wait ? await awaitBackup(kubectl(), made, timeout, tell) : made}\n`)
  })

interface RestoreOptions extends PlaceFlags {
  readonly backup?: string
  readonly from?: string
  readonly name?: string
  readonly clusterId?: string
  readonly like?: string
  readonly replicas?: number
  readonly size?: string
  readonly revision?: number
  readonly time?: string
  readonly dryRun: boolean
}

function whole(value: string): number {
  if (/^[1-9]\d{0,15}$/.test(value)) return Number(value)
  throw new InvalidArgumentError('It must be a whole number above 0.')
}

ofPlaces(
  program
    .command('restore')
    .argument('<new-cluster>')
    .description('Makes a new cluster out of a backup. Clusters that there are stay as they are.')
    .option('--backup <name>', 'a RaftBackup of this namespace')
    .option('--from <place>', 'where no RaftBackup is left: s3://BUCKET/PREFIX or pvc://CLAIM/PATH')
    .option('--name <name>', 'of a backup at that place; default: the newest')
    .option('--cluster-id <id>', 'of which cluster the newest is wanted, where that place has backups of several')
    .option('--revision <number>', 'add what was changed after the backup, up to this revision', whole)
    .option('--time <when>', 'the same, up to a time: 2026-11-30T12:00:00Z, or latest')
    .option('--like <cluster>', 'take over the spec of this RaftCluster; default: the one that the backup is of')
    .option('--replicas <number>', 'of the new cluster; default: as of that one, or 3', whole)
    .option('--size <quantity>', 'of its volumes, such as 10Gi; default: as of that one')
    .option('--dry-run', 'print the RaftCluster, and make nothing', false),
)
  .addHelpText(
    'after',
    `
Examples:
  kubectl raft restore demo-2 --backup demo-20261130-030000
  kubectl raft restore demo-2 --from s3://backups/prod --credentials minio-keys --time 2026-11-30T12:00:00Z
  kubectl raft restore demo-2 --backup demo-20261130-030000 --dry-run > demo-2.json

The new cluster has the keys, users and roles of the backup, and members of its own. kubectl raft status NEW -w shows how far it is.`,
  )
  .action(
    async (
      name: string,
      { backup, from, name: what, clusterId, like, replicas, size, revision, time, dryRun, ...flags }: RestoreOptions,
    ) => {
      // prettier-ignore
      const place = from === undefined ? undefined : placeOf(from, flags)
      const copied = (await specLike(kubectl(), like, backup)) ?? { replicas: 3 }
      const storage: unknown = Reflect.get(copied, 'storage')
      const spec = {
        ...copied,
        ...(replicas !== undefined && { replicas }),
        ...(size !== undefined && { storage: { ...Object(storage), size } }),
      }
      const cluster = restoredCluster(name, spec, { backup, place, name: what, clusterID: clusterId, revision, time })
      const text = dryRun
        ? JSON.stringify(cluster, undefined, 2)
        : `${await create(kubectl(), cluster)} is made; kubectl raft status ${name} -w shows how far it is`
      process.stdout.write(`${text}\n`)
    },
  )

program
  .command('etcdctl')
  .argument('<cluster>')
  .argument('[args...]', "etcdctl's own")
  .description('Runs etcdctl through a port-forward, with the right certificates.')
  .addHelpText(
    'after',
    `
It needs etcdctl in your PATH, and with TLS the right to read the Secret CLUSTER-client-tls. What stands behind the cluster goes to
etcdctl as it is. Examples:
  kubectl raft etcdctl demo get --prefix /
  kubectl raft etcdctl demo endpoint status -w table
  kubectl raft etcdctl demo --user app get /app/x`,
  )
  .passThroughOptions()
  .allowUnknownOption()
  .action(async (name: string, args: readonly string[]) => {
    process.exitCode = await runEtcdctl(kubectl(), name, args)
  })

program
  .command('report')
  .argument('<cluster>')
  .option('-f, --file <file>', 'to write', 'raftkv-report.tar.gz')
  .description(
    'Collects what a bug report needs: objects, events, logs. It reads no Secrets and removes the values of environment variables.',
  )
  .action(async (name: string, { file }: { readonly file: string }) => {
    const directory = await mkdtemp(join(tmpdir(), 'kubectl-raft-'))
    try {
      for (const { name: path, text } of await reportFiles(kubectl(), name)) {
        const at = join(directory, name, path)
        await mkdir(dirname(at), { recursive: true })
        await writeFile(at, text)
      }
      const tar = spawn('tar', ['-czf', resolve(file), '-C', directory, name], { stdio: 'inherit' })
      const [code] = (await once(tar, 'close')) as [number | null]
      if (code !== 0) throw new KubectlFailed(`tar ended with ${code}`)
      process.stdout.write(`${file}\n`)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

async function annotate(name: string, annotation: string, value: string): Promise<void> {
  process.exitCode = await kubectl().show(['annotate', 'raftcluster', name, '--overwrite', `${annotation}=${value}`])
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof KubectlFailed)) throw error
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
}
