// Cells of NeuroSim as its own source defines them: prints conductances (S) for benchmarks/interchange_neurosim.py.
//   cells train WAY PULSES DEVICES    a line per pulse: the mean over devices that start at the end that they leave
//   cells step WAY DEVICES < file     a line per conductance of the file: where one pulse ends, for each device
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>
#include "Param.h"
#include "Cell.h"

Param *param = new Param();
std::mt19937 gen;

static void pulse(RealDevice &cell, bool up) {
    // weights are -1 to 1: a change of 2 is the whole train
    cell.Write(up ? 2.0 / cell.maxNumLevelLTP : -2.0 / cell.maxNumLevelLTD, 0, -1, 1);
    if (abs(cell.numPulse) != 1) exit(3);
}

int main(int, char **told) {
    gen.seed(1);
    bool up = !strcmp(told[2], "LTP");
    if (!strcmp(told[1], "train")) {
        int pulses = atoi(told[3]), devices = atoi(told[4]);
        std::vector<double> sum(pulses + 1, 0.0);
        for (int device = 0; device < devices; device++) {
            RealDevice cell(0, 0);
            cell.conductance = up ? cell.minConductance : cell.maxConductance;
            sum[0] += cell.conductance;
            for (int n = 1; n <= pulses; n++) { pulse(cell, up); sum[n] += cell.conductance; }
        }
        for (double value : sum) printf("%.17g\n", value / devices);
        return 0;
    }
    int devices = atoi(told[3]);
    double conductance;
    RealDevice cell(0, 0);
    while (scanf("%lf", &conductance) == 1) {
        for (int device = 0; device < devices; device++) {
            cell.conductance = conductance;
            pulse(cell, up);
            printf("%.9g ", cell.conductance);
        }
        printf("\n");
    }
    return 0;
}
