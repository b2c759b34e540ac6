// Embeddings of a FASTA file by Nextflow: shards beside each other, then joined in the order of the input.
//
//   nextflow run embed.nf --model run --fasta proteins.fasta.gz --shards 4 --results results
//
// A task that is tried again has a new work directory, so shards are written to --results: one that was interrupted
// (exit code 5) goes on where it stopped.
//
// The tests check its syntax (with RefTrace, where that is installed) and run its commands, but not Nextflow itself.
params.shards = 4
params.results = 'results'

process EMBED {
    cpus 2
    errorStrategy { task.exitStatus in [5, 137, 143] ? 'retry' : 'terminate' }
    maxRetries 5

    input:
    tuple val(shard), path(model), path(fasta)

    output:
    tuple val(shard), path("shard-${shard}.npz")

    script:
    def results = file(params.results).toAbsolutePath()
    """
    mkdir -p '${results}/shards'
    performer embed '${model}' '${fasta}' -o '${results}/shards/${shard}.npz' --shard ${shard}/${params.shards} --threads ${task.cpus} --resume
    ln -s '${results}/shards/${shard}.npz' shard-${shard}.npz
    """
}

process JOIN {
    publishDir params.results, mode: 'move'

    input:
    path shards

    output:
    path 'embeddings.npz'

    script:
    """
    python3 '${projectDir}/join.py' ${shards} -o embeddings.npz
    """
}

workflow {
    shards = channel.of(1..params.shards).map { shard -> tuple(shard, file(params.model), file(params.fasta)) }
    JOIN(EMBED(shards).toSortedList { a, b -> a[0] <=> b[0] }.map { list -> list.collect { entry -> entry[1] } })
}
