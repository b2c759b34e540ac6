// Formats known by their first bytes. See fasta_detect.h.
#include "data/fasta_detect.h"

#include <stdbool.h>
#include <string.h>

typedef struct signature {
    size_t offset, length;
    const char *bytes;
    const char *phrase;
} signature;

#define AT(offset, bytes, phrase)                                                                            \
    {                                                                                                        \
        (offset), sizeof(bytes) - 1, (bytes), (phrase)                                                       \
    }

// Longer ones first where one begins like another.
static const signature binary_formats[] = {
    AT(0, "BZh", "bzip2 data; unpack it first: bunzip2"),
    AT(0,
       "\xfd"
       "7zXZ\0",
       "xz data; unpack it first: unxz"),
    AT(0, "\x28\xb5\x2f\xfd", "zstd data; unpack it first: unzstd"),
    AT(0, "\x04\x22\x4d\x18", "lz4 data; unpack it first: unlz4"),
    AT(0, "PK\x03\x04", "a zip archive; unpack it first: unzip"),
    AT(0, "PK\x05\x06", "an empty zip archive"),
    AT(0, "\x1f\x8b", "gzip data inside gzip data; unpack it once: gunzip"),
    AT(0, "\x1f\x9d", "compress (.Z) data; unpack it first: uncompress"),
    AT(0, "LZIP", "lzip data; unpack it first: lunzip"),
    AT(0, "7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first: 7z x"),
    AT(0, "Rar!\x1a\x07", "a RAR archive; unpack it first: unrar"),
    AT(257, "ustar", "a tar archive; unpack it first: tar x"),
    AT(0, "\x89PNG", "a PNG picture"),
    AT(0, "\xff\xd8\xff", "a JPEG picture"),
    AT(0, "GIF8", "a GIF picture"),
    AT(0, "%PDF", "a PDF document"),
    AT(0,
       "\x7f"
       "ELF",
       "an ELF program"),
    AT(0, "\x93NUMPY", "a NumPy array (.npy)"),
    AT(0, "\x89HDF", "an HDF5 file"),
    AT(0, "BAM\x01", "a BAM file; convert it: samtools fasta"),
    AT(0, "CRAM", "a CRAM file; convert it: samtools fasta"),
    AT(0, "SQLite format 3", "an SQLite data base"),
    AT(0, "\x43\x27\x41\x1a", "a 2bit genome; convert it: twoBitToFa"),
    AT(0, "\x1a\x27\x41\x43", "a 2bit genome; convert it: twoBitToFa"),
    AT(0, "\xff\xfe\0\0", "UTF-32 text; convert it: iconv -f UTF-32 -t UTF-8"),
    AT(0, "\0\0\xfe\xff", "UTF-32 text; convert it: iconv -f UTF-32 -t UTF-8"),
    AT(0, "\xff\xfe", "UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8"),
    AT(0, "\xfe\xff", "UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8"),
    AT(0, ">\0", "UTF-16 text; convert it: iconv -f UTF-16LE -t UTF-8"),
    AT(0, "\0>", "UTF-16 text; convert it: iconv -f UTF-16BE -t UTF-8"),
    AT(8, "{\"", "a safetensors file"),
};

static const signature text_formats[] = {
    AT(0, "@HD\t", "SAM; convert it: samtools fasta"),
    AT(0, "@SQ\t", "SAM; convert it: samtools fasta"),
    AT(0, "@RG\t", "SAM; convert it: samtools fasta"),
    AT(0, "@PG\t", "SAM; convert it: samtools fasta"),
    AT(0, "@", "FASTQ; convert it: seqkit fq2fa"),
    AT(0, "LOCUS ", "GenBank; convert it to FASTA"),
    AT(0, "ID   ", "EMBL or UniProt text; convert it to FASTA"),
    AT(0, "# STOCKHOLM", "Stockholm, an alignment; convert it: esl-reformat fasta"),
    AT(0, "CLUSTAL", "Clustal, an alignment; convert it to FASTA without gaps"),
    AT(0, "MUSCLE (", "Clustal, an alignment; convert it to FASTA without gaps"),
    AT(0, "PileUp", "MSF, an alignment; convert it to FASTA without gaps"),
    AT(0, "!!AA_MULTIPLE", "MSF, an alignment; convert it to FASTA without gaps"),
    AT(0, "!!AA_SEQUENCE", "GCG; convert it to FASTA"),
    AT(0, "#NEXUS", "NEXUS, an alignment; convert it to FASTA without gaps"),
    AT(0, "##gff-version", "GFF, which describes sequences; give the sequences themselves"),
    AT(0, "##fileformat=VCF", "VCF, which describes variants; give the sequences themselves"),
    AT(0, "HMMER", "a HMMER profile, not sequences"),
    AT(0, "HEADER    ", "PDB; convert it to FASTA"),
    AT(0, "ATOM  ", "PDB; convert it to FASTA"),
    AT(0, "data_", "mmCIF; convert it to FASTA"),
    AT(0, "<?xml", "XML; convert it to FASTA"),
    AT(0, "<!DOCTYPE html", "an HTML page, perhaps an error message of a web server"),
    AT(0, "<!doctype html", "an HTML page, perhaps an error message of a web server"),
    AT(0, "<html", "an HTML page, perhaps an error message of a web server"),
    AT(0, "{", "JSON; convert it to FASTA"),
};

static const char *look_up(const signature *table, size_t entries, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < entries; i++) {
        const signature *s = &table[i];
        if (count >= s->offset + s->length && memcmp(bytes + s->offset, s->bytes, s->length) == 0)
            return s->phrase;
    }
    return NULL;
}

const char *pf_fasta_detect_binary(const unsigned char *bytes, size_t count)
{
    return look_up(binary_formats, sizeof binary_formats / sizeof *binary_formats, bytes, count);
}

const char *pf_fasta_detect_text(const unsigned char *bytes, size_t count)
{
    return look_up(text_formats, sizeof text_formats / sizeof *text_formats, bytes, count);
}
