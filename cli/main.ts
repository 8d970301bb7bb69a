/** kubectl raft: looks at RaftClusters and asks the operator for what is not in their spec. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { ANNOTATIONS } from '../operator/api/raft-cluster.ts'
import { runEtcdctl } from './etcdctl.ts'
import { kubectlAt, KubectlFailed, type Kubectl, type Target } from './kubectl.ts'
import { getCluster } from './raft-cluster.ts'
import { reportFiles } from './report.ts'
import { membersText, statusText } from './status.ts'

const WATCH_MS = 2000
const CLEAR_SCREEN = '\x1b[2J\x1b[H'

const program = new Command('kubectl raft')
  .description('Shows RaftClusters, and asks their operator for what the spec cannot say.')
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
  .action((name: string, member: string) => annotate(name, ANNOTATIONS.moveLeader, member))

program
  .command('restart')
  .argument('<cluster>')
  .description('Restarts the members one by one, the leader last, once it has handed over.')
  .action((name: string) => annotate(name, ANNOTATIONS.restartedAt, new Date().toISOString()))

program
  .command('replace-member')
  .argument('<cluster>')
  .argument('<member>', 'its pod, or its ID')
  .description('Removes a member, deletes its volume, and adds an empty member in its place.')
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

program
  .command('etcdctl')
  .argument('<cluster>')
  .argument('[args...]', "etcdctl's own")
  .description('Runs etcdctl through a port-forward, with the right certificates.')
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
