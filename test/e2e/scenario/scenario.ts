/**
 * The main job, end to end: a RaftCluster is made, scaled, hurt and deleted, while three writers write through its client
 * Service. What is promised is checked from what was recorded, after the steps.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../cluster/kube.ts'
import { keepOutput } from '../cluster/output-keeper.ts'
import { startRecorder } from '../cluster/recorder.ts'
import { NAMESPACE, OPERATOR_NAMESPACE } from '../names.ts'
import type { Report } from '../report.ts'
import { podLogs, type Context, type ScenarioOptions } from './context.ts'
import { collectDiagnostics } from './diagnostics.ts'
import { install, removeAll, uninstall } from './install.ts'
import { isChosen, runTrials, trialNamespaces } from '../trials/trials.ts'
import * as steps from './steps.ts'
import { collectWrites, judgeConditions, judgeMembership, judgePrograms, judgeSecrets, judgeWrites } from './verdict.ts'

export async function runScenario(report: Report, options: ScenarioOptions): Promise<void> {
  process.env['PATH'] = `${options.programs}:${process.env['PATH'] ?? ''}`
  const kube = await connect(options.kubeconfig)
  const namespaces = [NAMESPACE, OPERATOR_NAMESPACE, ...trialNamespaces(options)]
  const diagnose = (): Promise<void> => collectDiagnostics(report, kube, options, namespaces)
  const output = keepOutput(kube, { folder: podLogs(options), namespaces, isBox: options.isBox })
  const interrupted = (): void => {
    report.note('interrupted: removing what was brought to the cluster')
    void removeAll(kube, trialNamespaces(options)).finally(() => process.exit(130))
  }
  if (!options.isBox)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(signal).once(signal, interrupted)
  try {
    await install(report, kube, options)
    if (isChosen(options, 'main')) {
      await runSteps({
        options,
        report,
        kube,
        recorder: startRecorder(kube),
        phases: [],
        leaderKill: { fromMs: Number.POSITIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY, podUid: '' },
      })
    }
    await runTrials(report, kube, options, 'beside')
    await runTrials(report, kube, options, 'alone')
    const hadFailed = report.hasFailed()
    // While the operator is there that it failed under.
    if (hadFailed) await diagnose()
    await uninstall(report, kube)
    await runTrials(report, kube, options, 'without')
    judgeSecrets(report, output, options)
    if (report.hasFailed() && !hadFailed) await diagnose()
  } catch (error) {
    await diagnose()
    throw error
  } finally {
    if (!options.isBox) await removeAll(kube, trialNamespaces(options))
    output.stop()
    kube.close()
  }
}

async function runSteps(context: Context): Promise<void> {
  await steps.applyThreeMembers(context)
  await steps.useEtcdctl(context)
  await steps.discoverMembers(context)
  await steps.startWriters(context)
  await steps.scaleToFive(context)
  await steps.killLeader(context)
  await steps.restartAll(context)
  await steps.replaceMember(context)
  await steps.scaleDownUnderLeader(context)
  await steps.killOperatorMidScale(context)
  await steps.editStatefulSetByHand(context)
  await steps.scaleToOneAndBack(context)
  const written = await collectWrites(context)
  await context.recorder.stop()
  const { clusters, volumes } = context.recorder.recording
  const record = { puts: written.puts, clusters, volumes, phases: context.phases }
  writeFileSync(join(podLogs(context.options), 'record.json'), JSON.stringify(record))
  await steps.deleteCluster(context)
  judgeWrites(context, written)
  judgeMembership(context)
  judgeConditions(context)
  judgePrograms(context)
}
